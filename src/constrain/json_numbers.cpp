#include "constrain/json_numbers.h"

#include <algorithm>
#include <string>
#include <vector>

namespace hadal::constrain {
namespace {

Fragment digits(GrammarBuilder& builder, int min, int max) {
  return builder.repeat([&] { return builder.byte('0', '9'); }, min, max);
}

Fragment dead_end(GrammarBuilder& builder) {
  return {builder.new_state(), builder.new_state()};
}

// Numbers of as many digits as low and high have, between them.
Fragment same_length(GrammarBuilder& builder, const std::string& low, const std::string& high) {
  if (low.empty()) return builder.nothing();
  const auto byte = [&](char first, char last) {
    return builder.byte(static_cast<uint8_t>(first), static_cast<uint8_t>(last));
  };
  const std::string low_rest = low.substr(1), high_rest = high.substr(1);
  const auto n = static_cast<int>(low_rest.size());
  if (low[0] == high[0]) {
    return builder.sequence({byte(low[0], low[0]), same_length(builder, low_rest, high_rest)});
  }
  std::vector<Fragment> options;
  options.push_back(
      builder.sequence({byte(low[0], low[0]), same_length(builder, low_rest, std::string(low_rest.size(), '9'))}));
  if (high[0] - low[0] > 1) {
    options.push_back(
        builder.sequence({byte(static_cast<char>(low[0] + 1), static_cast<char>(high[0] - 1)), digits(builder, n, n)}));
  }
  options.push_back(
      builder.sequence({byte(high[0], high[0]), same_length(builder, std::string(high_rest.size(), '0'), high_rest)}));
  return builder.choice(options);
}

// 0 <= low; without high: up to forty digits.
Fragment not_negative(GrammarBuilder& builder, int64_t low, std::optional<int64_t> high) {
  const std::string first = std::to_string(low);
  std::vector<Fragment> options;
  if (!high) {
    const auto n = static_cast<int>(first.size());
    options.push_back(same_length(builder, first, std::string(first.size(), '9')));
    options.push_back(builder.sequence({builder.byte('1', '9'), digits(builder, n, kDigitsMax - 1)}));
    return builder.choice(options);
  }
  const std::string last = std::to_string(*high);
  for (size_t n = first.size(); n <= last.size(); ++n) {
    const std::string from = n == first.size() ? first : "1" + std::string(n - 1, '0');
    const std::string to = n == last.size() ? last : std::string(n, '9');
    options.push_back(same_length(builder, from, to));
  }
  return builder.choice(options);
}

}  // namespace

Fragment integer_in(GrammarBuilder& builder, const IntegerRange& range) {
  std::vector<Fragment> options;
  const bool has_negative = !range.min || *range.min < 0;
  const bool has_positive = !range.max || *range.max >= 0;
  if (has_negative) {
    const int64_t nearest = range.max && *range.max < 0 ? -*range.max : 1;
    const std::optional<int64_t> farthest = range.min ? std::optional(-*range.min) : std::nullopt;
    if (!farthest || *farthest >= nearest) {
      options.push_back(builder.sequence({builder.literal("-"), not_negative(builder, nearest, farthest)}));
    }
  }
  if (has_positive) {
    const int64_t low = range.min ? std::max<int64_t>(*range.min, 0) : 0;
    if (!range.max || *range.max >= low) options.push_back(not_negative(builder, low, range.max));
  }
  return options.empty() ? dead_end(builder) : builder.choice(options);
}

// Between two integers lie the fractions of the lower one, by amount: min <= -3.5 <= max when -4 >= min and so on.
Fragment decimal_in(GrammarBuilder& builder, const IntegerRange& range, int decimals) {
  std::vector<Fragment> options = {integer_in(builder, range)};
  const auto fraction = [&] { return builder.sequence({builder.literal("."), digits(builder, 1, decimals)}); };
  const auto zeros = [&] {
    return builder.sequence({builder.literal("."), builder.repeat([&] { return builder.literal("0"); }, 1, decimals)});
  };
  if (decimals > 0) {
    options.push_back(builder.sequence({integer_in(builder, range), zeros()}));
    // Positive: n.f lies in [min, max] when min <= n and n + 1 <= max.
    IntegerRange positive = {std::max<int64_t>(range.min.value_or(0), 0), range.max};
    if (positive.max) positive.max = *positive.max - 1;
    options.push_back(builder.sequence({integer_in(builder, positive), fraction()}));
    // Negative: -n.f lies in it when min <= -(n + 1) and -n <= max.
    const std::optional<int64_t> farthest = range.min ? std::optional(-*range.min - 1) : std::nullopt;
    const int64_t nearest = range.max && *range.max < 0 ? -*range.max : 0;
    if (!farthest || *farthest >= nearest) {
      options.push_back(builder.sequence({builder.literal("-"), not_negative(builder, nearest, farthest), fraction()}));
    }
  }
  return builder.choice(options);
}

Fragment any_number(GrammarBuilder& builder) {
  const Fragment whole = builder.choice(
      {builder.literal("0"), builder.sequence({builder.byte('1', '9'), digits(builder, 0, kDigitsMax / 2 - 1)})});
  const Fragment fraction = builder.sequence({builder.literal("."), digits(builder, 1, kDigitsMax / 2)});
  const Fragment sign = builder.optional(builder.choice({builder.literal("+"), builder.literal("-")}));
  const Fragment exponent =
      builder.sequence({builder.choice({builder.literal("e"), builder.literal("E")}), sign, digits(builder, 1, 2)});
  return builder.sequence(
      {builder.optional(builder.literal("-")), whole, builder.optional(fraction), builder.optional(exponent)});
}

}  // namespace hadal::constrain
