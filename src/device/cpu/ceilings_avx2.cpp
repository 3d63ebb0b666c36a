#include <immintrin.h>

#include "base/unrolled.h"
#include "device/cpu/ceilings_loops.h"

namespace hadal {
namespace {

// Ten chains: two multiply-add units with a latency of 4 or 5 cycles. With their two constants they fit 16 registers.
constexpr int kChains = 10;

uint64_t read_avx2(const std::byte* data, int64_t n_bytes) {
  __m256i sums[4];
  unrolled<4>([&](auto k) HADAL_INLINE { sums[k] = _mm256_setzero_si256(); });
  for (int64_t i = 0; i < n_bytes; i += 128) {
    unrolled<4>([&](auto k) HADAL_INLINE {
      const __m256i v = _mm256_load_si256(reinterpret_cast<const __m256i*>(data + i + 32 * k));
      sums[k] = _mm256_add_epi64(sums[k], v);
    });
  }
  const __m256i sum = _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3]));
  alignas(32) uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sum);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

float f32_avx2(int64_t n_rounds) {
  const __m256 a = _mm256_set1_ps(0.999f);
  const __m256 b = _mm256_set1_ps(0.001f);
  __m256 x[kChains];
  unrolled<kChains>([&](auto k) HADAL_INLINE { x[k] = _mm256_setzero_ps(); });
  for (int64_t i = 0; i < n_rounds; ++i) {
    unrolled<kChains>([&](auto k) HADAL_INLINE {
      x[k] = _mm256_fmadd_ps(x[k], a, b);
      asm volatile("" : "+x"(x[k]));  // The chains are equal; a compiler must not see it.
    });
  }
  unrolled<kChains - 1>([&](auto k) HADAL_INLINE { x[0] = _mm256_add_ps(x[0], x[k + 1]); });
  return _mm256_cvtss_f32(x[0]);
}

// Pairs of products, pairs of pairs, the sum: three instructions for what VNNI does in one.
float int8_avx2(int64_t n_rounds) {
  const __m256i a = _mm256_set1_epi8(1);
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i x[kChains];
  unrolled<kChains>([&](auto k) HADAL_INLINE { x[k] = _mm256_setzero_si256(); });
  for (int64_t i = 0; i < n_rounds; ++i) {
    unrolled<kChains>([&](auto k) HADAL_INLINE {
      __m256i b = a;
      asm volatile("" : "+x"(b));  // The products are equal; a compiler must not see it.
      x[k] = _mm256_add_epi32(x[k], _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
    });
  }
  unrolled<kChains - 1>([&](auto k) HADAL_INLINE { x[0] = _mm256_add_epi32(x[0], x[k + 1]); });
  return static_cast<float>(_mm256_cvtsi256_si32(x[0]));
}

}  // namespace

const CeilingLoops kCeilingLoopsAvx2 = {
    .level = CpuLevel::kAvx2,
    .read = read_avx2,
    .f32 = f32_avx2,
    .f32_flops_per_round = 2 * 8 * kChains,
    .bf16 = f32_avx2,
    .bf16_flops_per_round = 2 * 8 * kChains,
    .int8 = int8_avx2,
    .int8_ops_per_round = 2 * 32 * kChains,
};

}  // namespace hadal
