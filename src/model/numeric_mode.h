// The three ways to compute (docs/ARCHITECTURE.md, "Numbers").
#pragma once

#include <optional>
#include <string_view>

namespace hadal {

enum class NumericMode {
  kExact,      // float activations, weights dequantised on the fly, no published rounding: what goldens are made of
  kPublished,  // the rounding steps of the release's kernels: activations E4M3, KV E4M3, index keys Hadamard + E2M1
  kFast,       // BF16 activations against exact weights, KV in the published layout; the default
};

constexpr std::string_view numeric_mode_name(NumericMode mode) {
  switch (mode) {
    case NumericMode::kExact:
      return "exact";
    case NumericMode::kPublished:
      return "published";
    case NumericMode::kFast:
      return "fast";
  }
  return "unknown";
}

constexpr std::optional<NumericMode> parse_numeric_mode(std::string_view name) {
  for (const NumericMode mode : {NumericMode::kExact, NumericMode::kPublished, NumericMode::kFast}) {
    if (numeric_mode_name(mode) == name) return mode;
  }
  return std::nullopt;
}

}  // namespace hadal
