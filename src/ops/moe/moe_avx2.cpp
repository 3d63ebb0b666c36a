#include <cmath>

#include "ops/moe/moe_blocks.h"
#include "ops/simd_avx2.h"

namespace hadal::ops {

void swiglu_avx2(const float* gate, const float* up, int64_t n, float limit, float weight, float* h) {
  const __m256 one = _mm256_set1_ps(1.0f);
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    __m256 a = _mm256_loadu_ps(gate + i);
    __m256 b = _mm256_loadu_ps(up + i);
    if (limit > 0) {
      // The bound comes first: min and max return their second operand for a NaN, which stays a NaN.
      b = _mm256_max_ps(_mm256_set1_ps(-limit), _mm256_min_ps(_mm256_set1_ps(limit), b));
      a = _mm256_min_ps(_mm256_set1_ps(limit), a);
    }
    // sigmoid by exp of a number that is not positive: 1 / (1 + e) or e / (1 + e), e = exp(-|a|).
    const __m256 e = exp_nonpositive(_mm256_or_ps(a, _mm256_set1_ps(-0.0f)));
    const __m256 is_negative = _mm256_cmp_ps(a, _mm256_setzero_ps(), _CMP_LT_OQ);
    const __m256 sigmoid = _mm256_div_ps(_mm256_blendv_ps(one, e, is_negative), _mm256_add_ps(one, e));
    _mm256_storeu_ps(h + i, _mm256_mul_ps(_mm256_set1_ps(weight), _mm256_mul_ps(_mm256_mul_ps(a, sigmoid), b)));
  }
  for (; i < n; ++i) h[i] = weight * swiglu(gate[i], up[i], limit);
}

}  // namespace hadal::ops
