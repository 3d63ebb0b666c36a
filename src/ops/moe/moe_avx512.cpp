#include "ops/moe/moe_blocks.h"
#include "ops/simd_avx512.h"

namespace hadal::ops {

void swiglu_avx512(const float* gate, const float* up, int64_t n, float limit, float weight, float* h) {
  const __m512 one = _mm512_set1_ps(1.0f);
  for (int64_t i = 0; i < n; i += 16) {
    const __mmask16 lanes = first_lanes(n - i < 16 ? n - i : 16);
    __m512 a = _mm512_maskz_loadu_ps(lanes, gate + i);
    __m512 b = _mm512_maskz_loadu_ps(lanes, up + i);
    if (limit > 0) {
      // The bound comes first: min and max return their second operand for a NaN, which stays a NaN.
      b = _mm512_max_ps(_mm512_set1_ps(-limit), _mm512_min_ps(_mm512_set1_ps(limit), b));
      a = _mm512_min_ps(_mm512_set1_ps(limit), a);
    }
    // sigmoid by exp of a number that is not positive: 1 / (1 + e) or e / (1 + e), e = exp(-|a|).
    const __m512 e = exp_nonpositive(_mm512_or_ps(a, _mm512_set1_ps(-0.0f)));
    const __mmask16 is_negative = _mm512_cmp_ps_mask(a, _mm512_setzero_ps(), _CMP_LT_OQ);
    const __m512 sigmoid = _mm512_div_ps(_mm512_mask_mov_ps(one, is_negative, e), _mm512_add_ps(one, e));
    const __m512 product = _mm512_mul_ps(_mm512_mul_ps(a, sigmoid), b);
    _mm512_mask_storeu_ps(h + i, lanes, _mm512_mul_ps(_mm512_set1_ps(weight), product));
  }
}

}  // namespace hadal::ops
