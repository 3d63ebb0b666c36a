// Comparisons of floats for tests. Each says which of the three it means:
//
//   EXPECT_TRUE(same_bits(got, want));                                 equal bit for bit
//   EXPECT_TRUE(within_ulp(got, want, 2));                             at most n units in the last place apart
//   EXPECT_TRUE(within(got, want, {.rtol = 1e-5, .atol = 1e-6}));      |got - want| <= atol + rtol |want|
//
// Patterns of NaN and infinity are compared first (the last two forms; all NaNs count as one). A failure prints the
// first and the worst element with index and both values, and how many differ.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>

namespace hadal::test {

struct Tolerance {
  double rtol = 0;
  double atol = 0;
};

namespace internal {

// What was found wrong so far; excess is any measure that is larger for worse elements.
struct Differences {
  size_t n = 0;
  size_t first = 0;
  size_t worst = 0;
  double worst_excess = -1;

  void add(size_t i, double excess) {
    if (n == 0) first = i;
    ++n;
    if (excess > worst_excess) {
      worst = i;
      worst_excess = excess;
    }
  }
};

template <class T>
::testing::AssertionResult report(const Differences& differences, std::span<const T> got, std::span<const T> want,
                                  const char* rule) {
  if (differences.n == 0) return ::testing::AssertionSuccess();
  ::testing::AssertionResult failure = ::testing::AssertionFailure();
  failure << differences.n << " of " << want.size() << " elements differ (" << rule << ")";
  const auto print = [&](const char* which, size_t i) {
    failure << fmt::format("\n  {} [{}]: got {}, want {}", which, i, got[i], want[i]);
    if constexpr (std::is_floating_point_v<T>) {
      failure << fmt::format(", difference {:.3g}", static_cast<double>(got[i]) - static_cast<double>(want[i]));
    }
  };
  print("first", differences.first);
  print("worst", differences.worst);
  return failure;
}

inline ::testing::AssertionResult same_size(size_t got, size_t want) {
  if (got == want) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "got " << got << " elements, want " << want;
}

// Elements where one is NaN or infinite and the other is not the same.
inline Differences special_values(std::span<const float> got, std::span<const float> want) {
  Differences differences;
  for (size_t i = 0; i < want.size(); ++i) {
    const bool is_special = !std::isfinite(got[i]) || !std::isfinite(want[i]);
    const bool is_same = got[i] == want[i] || (std::isnan(got[i]) && std::isnan(want[i]));
    if (is_special && !is_same) differences.add(i, 0);
  }
  return differences;
}

// Floats in order as integers: neighbours differ by one, -0 and +0 are the same.
inline int64_t ordered(float v) {
  const int64_t magnitude = std::bit_cast<uint32_t>(v) & 0x7FFFFFFF;
  return std::signbit(v) ? -magnitude : magnitude;
}

}  // namespace internal

template <class T>
::testing::AssertionResult same_bits(std::span<const T> got, std::span<const T> want) {
  if (const auto size = internal::same_size(got.size(), want.size()); !size) return size;
  internal::Differences differences;
  for (size_t i = 0; i < want.size(); ++i) {
    if (std::memcmp(&got[i], &want[i], sizeof(T)) == 0) continue;
    const double distance = std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i]));
    differences.add(i, std::isnan(distance) ? std::numeric_limits<double>::infinity() : distance);
  }
  return internal::report(differences, got, want, "same bits");
}

inline ::testing::AssertionResult within_ulp(std::span<const float> got, std::span<const float> want, int64_t n_ulp) {
  if (const auto size = internal::same_size(got.size(), want.size()); !size) return size;
  const internal::Differences special = internal::special_values(got, want);
  if (special.n > 0) return internal::report(special, got, want, "NaN and infinity");
  internal::Differences differences;
  for (size_t i = 0; i < want.size(); ++i) {
    if (std::isnan(want[i])) continue;
    const int64_t distance = std::abs(internal::ordered(got[i]) - internal::ordered(want[i]));
    if (distance > n_ulp) differences.add(i, static_cast<double>(distance));
  }
  return internal::report(differences, got, want, "units in the last place");
}

inline ::testing::AssertionResult within(std::span<const float> got, std::span<const float> want, Tolerance tolerance) {
  if (const auto size = internal::same_size(got.size(), want.size()); !size) return size;
  const internal::Differences special = internal::special_values(got, want);
  if (special.n > 0) return internal::report(special, got, want, "NaN and infinity");
  internal::Differences differences;
  for (size_t i = 0; i < want.size(); ++i) {
    if (!std::isfinite(want[i])) continue;
    const double distance = std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i]));
    const double allowed = tolerance.atol + tolerance.rtol * std::abs(static_cast<double>(want[i]));
    if (distance > allowed) differences.add(i, distance - allowed);
  }
  return internal::report(differences, got, want, "rtol and atol");
}

// Vectors and other containers deduce no span; these take whatever one can be made of.
template <class Got, class Want>
::testing::AssertionResult same_bits(const Got& got, const Want& want) {
  using T = std::remove_cvref_t<decltype(*std::data(want))>;
  return same_bits(std::span<const T>(got), std::span<const T>(want));
}

}  // namespace hadal::test
