#include <immintrin.h>

#include "base/unrolled.h"
#include "device/cpu/ceilings_loops.h"

namespace hadal {
namespace {

// Sixteen chains: two multiply-add units with a latency of 4 to 6 cycles (BF16 dot products).
constexpr int kChains = 16;

uint64_t read_avx512(const std::byte* data, int64_t n_bytes) {
  __m512i sums[8];
  unrolled<8>([&](auto k) HADAL_INLINE { sums[k] = _mm512_setzero_si512(); });
  for (int64_t i = 0; i < n_bytes; i += 512) {
    unrolled<8>([&](auto k)
                    HADAL_INLINE { sums[k] = _mm512_add_epi64(sums[k], _mm512_load_si512(data + i + 64 * k)); });
  }
  unrolled<7>([&](auto k) HADAL_INLINE { sums[0] = _mm512_add_epi64(sums[0], sums[k + 1]); });
  alignas(64) uint64_t lanes[8];
  _mm512_store_si512(lanes, sums[0]);
  uint64_t sum = 0;
  for (const uint64_t lane : lanes) sum += lane;
  return sum;
}

float f32_avx512(int64_t n_rounds) {
  const __m512 a = _mm512_set1_ps(0.999f);
  const __m512 b = _mm512_set1_ps(0.001f);
  __m512 x[kChains];
  unrolled<kChains>([&](auto k) HADAL_INLINE { x[k] = _mm512_setzero_ps(); });
  for (int64_t i = 0; i < n_rounds; ++i) {
    unrolled<kChains>([&](auto k) HADAL_INLINE {
      x[k] = _mm512_fmadd_ps(x[k], a, b);
      asm volatile("" : "+v"(x[k]));  // The chains are equal; a compiler must not see it.
    });
  }
  unrolled<kChains - 1>([&](auto k) HADAL_INLINE { x[0] = _mm512_add_ps(x[0], x[k + 1]); });
  return _mm512_cvtss_f32(x[0]);
}

float bf16_avx512(int64_t n_rounds) {
  const __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1.0f), _mm512_set1_ps(0.5f));
  const __m512bh b = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.25f), _mm512_set1_ps(1.0f));
  __m512 x[kChains];
  unrolled<kChains>([&](auto k) HADAL_INLINE { x[k] = _mm512_setzero_ps(); });
  for (int64_t i = 0; i < n_rounds; ++i) {
    unrolled<kChains>([&](auto k) HADAL_INLINE {
      x[k] = _mm512_dpbf16_ps(x[k], a, b);
      asm volatile("" : "+v"(x[k]));
    });
  }
  unrolled<kChains - 1>([&](auto k) HADAL_INLINE { x[0] = _mm512_add_ps(x[0], x[k + 1]); });
  return _mm512_cvtss_f32(x[0]);
}

float int8_avx512(int64_t n_rounds) {
  const __m512i a = _mm512_set1_epi8(1);
  const __m512i b = _mm512_set1_epi8(1);
  __m512i x[kChains];
  unrolled<kChains>([&](auto k) HADAL_INLINE { x[k] = _mm512_setzero_si512(); });
  for (int64_t i = 0; i < n_rounds; ++i) {
    unrolled<kChains>([&](auto k) HADAL_INLINE {
      x[k] = _mm512_dpbusd_epi32(x[k], a, b);
      asm volatile("" : "+v"(x[k]));
    });
  }
  unrolled<kChains - 1>([&](auto k) HADAL_INLINE { x[0] = _mm512_add_epi32(x[0], x[k + 1]); });
  return static_cast<float>(_mm512_cvtsi512_si32(x[0]));
}

}  // namespace

const CeilingLoops kCeilingLoopsAvx512 = {
    .level = CpuLevel::kAvx512,
    .read = read_avx512,
    .f32 = f32_avx512,
    .f32_flops_per_round = 2 * 16 * kChains,
    .bf16 = bf16_avx512,
    .bf16_flops_per_round = 2 * 32 * kChains,
    .int8 = int8_avx512,
    .int8_ops_per_round = 2 * 64 * kChains,
};

}  // namespace hadal
