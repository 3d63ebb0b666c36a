#include "constrain/characters.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/utf8.h"

namespace hadal::constrain {
namespace {

constexpr char32_t kLast = 0x10FFFF;
constexpr CodeRange kSurrogates = {0xD800, 0xDFFF};

// Ranges whose ends have the same number of bytes, split until each byte position is a range of its own.
void add_utf8(GrammarBuilder& builder, char32_t first, char32_t last, StateId from, StateId to) {
  static constexpr std::array<char32_t, 4> kLengthLast = {0x7F, 0x7FF, 0xFFFF, kLast};
  for (const char32_t most : kLengthLast) {
    if (first <= most && last > most) {
      add_utf8(builder, first, most, from, to);
      return add_utf8(builder, most + 1, last, from, to);
    }
  }
  // Trailing bytes hold six bits each: a range that covers whole blocks of them is a product of byte ranges.
  for (int n = 1; n < 4 && last > 0x7F; ++n) {
    const char32_t low_bits = (char32_t{1} << (6 * n)) - 1;
    if ((first & ~low_bits) == (last & ~low_bits)) continue;
    if ((first & low_bits) != 0) {
      add_utf8(builder, first, first | low_bits, from, to);
      return add_utf8(builder, (first | low_bits) + 1, last, from, to);
    }
    if ((last & low_bits) != low_bits) {
      add_utf8(builder, first, (last & ~low_bits) - 1, from, to);
      return add_utf8(builder, last & ~low_bits, last, from, to);
    }
  }
  std::string low, high;
  utf8::append(low, first);
  utf8::append(high, last);
  for (size_t i = 0; i < low.size(); ++i) {
    const StateId next = i + 1 == low.size() ? to : builder.new_state();
    builder.edge(from, static_cast<uint8_t>(low[i]), static_cast<uint8_t>(high[i]), next);
    from = next;
  }
}

// What JSON strings write with a backslash.
void add_escapes(GrammarBuilder& builder, const CodeSet& set, StateId from, StateId to) {
  static constexpr std::pair<char32_t, char> kShort[] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                                                         {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};
  const auto add = [&](std::string_view bytes) {
    const Fragment spelled = builder.literal(bytes);
    builder.skip(from, spelled.start);
    builder.skip(spelled.end, to);
  };
  for (const auto& [c, letter] : kShort) {
    if (set.contains(c)) add({std::array<char, 2>{'\\', letter}.data(), 2});
  }
  for (char32_t c = 0; c < 0x20; ++c) {
    const bool has_short =
        std::any_of(std::begin(kShort), std::end(kShort), [&](const auto& s) { return s.first == c; });
    if (has_short || !set.contains(c)) continue;
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string bytes = "\\u00";
    bytes += kHex[c >> 4];
    bytes += kHex[c & 15];
    add(bytes);
  }
}

}  // namespace

CodeSet::CodeSet(std::vector<CodeRange> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const CodeRange& a, const CodeRange& b) { return a.first < b.first; });
  const auto add = [&](CodeRange range) {
    if (range.first > range.last) return;
    if (!ranges_.empty() && range.first <= ranges_.back().last + 1) {
      ranges_.back().last = std::max(ranges_.back().last, range.last);
    } else {
      ranges_.push_back(range);
    }
  };
  for (const CodeRange& range : ranges) {
    if (range.last < kSurrogates.first || range.first > kSurrogates.last) {
      add(range);
      continue;
    }
    if (range.first < kSurrogates.first) add({range.first, kSurrogates.first - 1});
    if (range.last > kSurrogates.last) add({kSurrogates.last + 1, range.last});
  }
}

CodeSet CodeSet::all() {
  return CodeSet({{0, kLast}});
}

CodeSet CodeSet::complement() const {
  std::vector<CodeRange> ranges;
  char32_t next = 0;
  for (const CodeRange& range : ranges_) {
    if (range.first > next) ranges.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLast) ranges.push_back({next, kLast});
  return CodeSet(std::move(ranges));
}

bool CodeSet::contains(char32_t c) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const CodeRange& r) { return c >= r.first && c <= r.last; });
}

Fragment character(GrammarBuilder& builder, const CodeSet& set, Spelling spelling) {
  const Fragment fragment{builder.new_state(), builder.new_state()};
  for (CodeRange range : set.ranges()) {
    if (spelling == Spelling::kUtf8) {
      add_utf8(builder, range.first, range.last, fragment.start, fragment.end);
      continue;
    }
    // Raw: everything from the blank on but '"' and '\'.
    for (const CodeRange raw : {CodeRange{0x20, '"' - 1}, CodeRange{'"' + 1, '\\' - 1}, CodeRange{'\\' + 1, kLast}}) {
      const char32_t first = std::max(range.first, raw.first), last = std::min(range.last, raw.last);
      if (first <= last) add_utf8(builder, first, last, fragment.start, fragment.end);
    }
  }
  if (spelling == Spelling::kJsonString) add_escapes(builder, set, fragment.start, fragment.end);
  return fragment;
}

}  // namespace hadal::constrain
