// unrolled<N>(body): body(0), body(1), ..., body(N - 1), each with its number known at compile time.
//
// For tiles of vector registers. g++ splits an array of vectors into registers only where every index is a constant
// early on; with an ordinary loop (unrolled later, or by a pragma) it keeps accumulators on the stack, and a kernel
// runs at a fifth of its speed. Write the body as a lambda that is HADAL_INLINE:
//
//   __m512 sum[4];
//   unrolled<4>([&](auto k) HADAL_INLINE { sum[k] = _mm512_setzero_ps(); });
#pragma once

#include <type_traits>
#include <utility>

#define HADAL_INLINE __attribute__((always_inline))

namespace hadal {

template <int N, class Body>
[[gnu::always_inline]] static inline void unrolled(const Body& body) {
  [&]<int... k>(std::integer_sequence<int, k...>) HADAL_INLINE {
    (body(std::integral_constant<int, k>{}), ...);
  }
  (std::make_integer_sequence<int, N>{});
}

}  // namespace hadal
