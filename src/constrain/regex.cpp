#include "constrain/regex.h"

#include <fmt/format.h>

#include <optional>

#include "base/utf8.h"

namespace hadal::constrain {
namespace {

constexpr size_t kPatternBytesMax = 10'000;
constexpr int kNestingMax = 100;
constexpr int64_t kCountMax = 100'000;

const CodeSet kDigits({{'0', '9'}});
const CodeSet kWord({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
const CodeSet kSpace({{'\t', '\r'}, {' ', ' '}});

// Recursive descent. What is repeated is parsed again for each copy, so a fragment is never used twice.
class RegexParser {
 public:
  RegexParser(GrammarBuilder& builder, std::string_view pattern, Spelling spelling)
      : builder_(builder), pattern_(pattern), spelling_(spelling) {}

  Result<Fragment> parse(RegexUse use) {
    if (pattern_.size() > kPatternBytesMax) {
      return Error{.code = ErrorCode::kLimit,
                   .what = "the pattern is too long",
                   .in = "pattern",
                   .want = fmt::format("at most {} bytes", kPatternBytesMax),
                   .found = fmt::format("{}", pattern_.size()),
                   .hint = ""};
    }
    const bool is_search = use == RegexUse::kSearch;
    HADAL_ASSIGN(Fragment body, alternatives(is_search));
    if (at_ < pattern_.size()) return invalid("')' closes nothing");
    return body;
  }

 private:
  char peek() const { return at_ < pattern_.size() ? pattern_[at_] : '\0'; }
  bool at_end() const { return at_ >= pattern_.size(); }
  bool take(char c) {
    if (at_end() || peek() != c) return false;
    ++at_;
    return true;
  }
  Error invalid(std::string_view what) const {
    return {.code = ErrorCode::kInvalid,
            .what = "the pattern is not a regular expression",
            .in = fmt::format("pattern, byte {}", at_),
            .want = "",
            .found = std::string(what),
            .hint = ""};
  }
  Error unsupported(std::string_view what) const {
    return {.code = ErrorCode::kUnsupported,
            .what = "the pattern uses what is not regular",
            .in = fmt::format("pattern, byte {}", at_),
            .want = "",
            .found = std::string(what),
            .hint = ""};
  }
  Fragment anything() { return builder_.star(character(builder_, CodeSet::all(), spelling_)); }

  // At the top each alternative is a search of its own unless it has anchors.
  Result<Fragment> alternatives(bool is_top_search) {
    if (++nesting_ > kNestingMax) return invalid("groups are nested too deep");
    std::vector<Fragment> options;
    do {
      HADAL_ASSIGN(Fragment option, sequence(is_top_search));
      options.push_back(option);
    } while (take('|'));
    --nesting_;
    return options.size() == 1 ? options.front() : builder_.choice(options);
  }

  Result<Fragment> sequence(bool is_top_search) {
    std::vector<Fragment> parts = {builder_.nothing()};
    const bool begins = nesting_ == 1 && take('^');
    if (is_top_search && !begins) parts.push_back(anything());
    bool ends = false;
    while (!at_end() && peek() != '|' && peek() != ')') {
      if (nesting_ == 1 && peek() == '$' && (at_ + 1 == pattern_.size() || pattern_[at_ + 1] == '|')) {
        ++at_;
        ends = true;
        continue;
      }
      if (peek() == '^' || peek() == '$') return unsupported("an anchor inside the pattern");
      HADAL_ASSIGN(Fragment part, repeated());
      parts.push_back(part);
    }
    if (is_top_search && !ends) parts.push_back(anything());
    return builder_.sequence(parts);
  }

  Result<Fragment> repeated() {
    const size_t begin = at_;
    const int nesting = nesting_;
    HADAL_ASSIGN(Fragment first, atom());
    int64_t min = 1, max = 1;
    HADAL_ASSIGN(const bool has_count, count(min, max));
    if (!has_count) return first;
    take('?');  // lazy or not is the same language
    if (take('+')) return unsupported("a possessive count");
    const size_t behind = at_;
    // The first copy is there; others are parsed again from the same text, which cannot fail now.
    bool is_first = true;
    std::optional<Error> error;
    const auto make = [&]() -> Fragment {
      if (std::exchange(is_first, false)) return first;
      at_ = begin;
      nesting_ = nesting;
      Result<Fragment> copy = atom();
      if (!copy.ok()) error = copy.error();
      return copy.ok() ? copy.value() : builder_.nothing();
    };
    const Fragment all = builder_.repeat(make, min, max);
    at_ = behind;
    nesting_ = nesting;
    if (error) return *error;
    return all;
  }

  Result<bool> count(int64_t& min, int64_t& max) {
    if (take('*')) return min = 0, max = -1, true;
    if (take('+')) return min = 1, max = -1, true;
    if (take('?')) return min = 0, max = 1, true;
    if (peek() != '{') return false;
    const size_t begin = at_;
    ++at_;
    const std::optional<int64_t> low = number();
    if (!low) {
      at_ = begin;
      return invalid("'{' without a count; write \\{");
    }
    min = max = *low;
    if (take(',')) {
      const std::optional<int64_t> high = number();
      max = high.value_or(-1);
    }
    if (!take('}')) return invalid("a count without '}'");
    if (max >= 0 && max < min) return invalid("a count whose end is below its start");
    if (min > kCountMax || max > kCountMax) return invalid("a count is too large");
    return true;
  }

  std::optional<int64_t> number() {
    if (at_end() || peek() < '0' || peek() > '9') return std::nullopt;
    int64_t value = 0;
    while (!at_end() && peek() >= '0' && peek() <= '9') {
      value = std::min<int64_t>(value * 10 + (pattern_[at_++] - '0'), kCountMax + 1);
    }
    return value;
  }

  Result<Fragment> atom() {
    if (take('(')) return group();
    if (take('[')) {
      HADAL_ASSIGN(const CodeSet set, char_class());
      return character(builder_, set, spelling_);
    }
    if (take('.')) return character(builder_, CodeSet({{'\n', '\n'}, {'\r', '\r'}}).complement(), spelling_);
    if (peek() == '*' || peek() == '+' || peek() == '?' || peek() == '{') return invalid("a count of nothing");
    if (take('\\')) {
      HADAL_ASSIGN(const CodeSet set, escape(false));
      return character(builder_, set, spelling_);
    }
    const char32_t c = code_point();
    return character(builder_, CodeSet({{c, c}}), spelling_);
  }

  Result<Fragment> group() {
    if (take('?')) {
      if (take(':')) {
        // Not capturing: like every group here.
      } else if (peek() == '=' || peek() == '!') {
        return unsupported("look-ahead");
      } else if (take('<')) {
        if (peek() == '=' || peek() == '!') return unsupported("look-behind");
        while (!at_end() && peek() != '>') ++at_;
        if (!take('>')) return invalid("a group's name without '>'");
      } else {
        return unsupported("a group with flags");
      }
    }
    HADAL_ASSIGN(Fragment body, alternatives(false));
    if (!take(')')) return invalid("'(' without ')'");
    return body;
  }

  char32_t code_point() {
    const utf8::Decoded decoded = utf8::decode(pattern_.substr(at_));
    at_ += static_cast<size_t>(std::max(decoded.length, 1));
    return decoded.code_point;
  }

  Result<char32_t> hex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const char c = at_end() ? '\0' : pattern_[at_++];
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return invalid("an escape without its hex digits");
      value = value * 16 + static_cast<char32_t>(digit);
    }
    return value;
  }

  // Behind a backslash.
  Result<CodeSet> escape(bool in_class) {
    if (at_end()) return invalid("a backslash at the end");
    const char c = pattern_[at_];
    if (c >= '1' && c <= '9') return unsupported("a back-reference");
    if ((c == 'b' || c == 'B') && !in_class) return unsupported("a word border");
    if (c == 'p' || c == 'P') return unsupported("a Unicode property");
    if (c == 'k') return unsupported("a back-reference");
    const char32_t point = code_point();
    const auto one = [](char32_t code) { return CodeSet({{code, code}}); };
    switch (point) {
      case 'd':
        return kDigits;
      case 'D':
        return kDigits.complement();
      case 'w':
        return kWord;
      case 'W':
        return kWord.complement();
      case 's':
        return kSpace;
      case 'S':
        return kSpace.complement();
      case 't':
        return one('\t');
      case 'n':
        return one('\n');
      case 'r':
        return one('\r');
      case 'f':
        return one('\f');
      case 'v':
        return one('\v');
      case '0':
        return one(0);
      case 'b':
        return one('\b');
      case 'x': {
        HADAL_ASSIGN(const char32_t code, hex(2));
        return one(code);
      }
      case 'u': {
        HADAL_ASSIGN(const char32_t code, hex(4));
        return one(code);
      }
      default:
        return one(point);
    }
  }

  Result<CodeSet> char_class() {
    const bool is_negated = take('^');
    std::vector<CodeRange> ranges;
    while (!at_end() && peek() != ']') {
      HADAL_ASSIGN(const CodeSet low, class_item());
      const bool is_range = at_ + 1 < pattern_.size() && peek() == '-' && pattern_[at_ + 1] != ']';
      if (!is_range) {
        ranges.insert(ranges.end(), low.ranges().begin(), low.ranges().end());
        continue;
      }
      ++at_;
      HADAL_ASSIGN(const CodeSet high, class_item());
      const auto is_one = [](const CodeSet& s) {
        return s.ranges().size() == 1 && s.ranges()[0].first == s.ranges()[0].last;
      };
      if (!is_one(low) || !is_one(high)) return invalid("a range between classes");
      if (high.ranges()[0].first < low.ranges()[0].first) return invalid("a range whose end is below its start");
      ranges.push_back({low.ranges()[0].first, high.ranges()[0].first});
    }
    if (!take(']')) return invalid("'[' without ']'");
    const CodeSet set(std::move(ranges));
    const CodeSet result = is_negated ? set.complement() : set;
    if (result.is_empty()) return invalid("a class without a character");
    return result;
  }

  Result<CodeSet> class_item() {
    if (take('\\')) return escape(true);
    const char32_t c = code_point();
    return CodeSet({{c, c}});
  }

  GrammarBuilder& builder_;
  std::string_view pattern_;
  Spelling spelling_;
  size_t at_ = 0;
  int nesting_ = 0;
};

}  // namespace

Result<Fragment> regex_fragment(GrammarBuilder& builder, std::string_view pattern, RegexUse use, Spelling spelling) {
  HADAL_ASSIGN(const Fragment fragment, RegexParser(builder, pattern, spelling).parse(use));
  return fragment;
}

Result<Grammar> regex_grammar(std::string_view pattern, RegexUse use) {
  GrammarBuilder builder;
  const RuleId root = builder.new_rule();
  HADAL_ASSIGN(const Fragment body, regex_fragment(builder, pattern, use, Spelling::kUtf8));
  builder.define(root, body);
  return builder.finish(root);
}

}  // namespace hadal::constrain
