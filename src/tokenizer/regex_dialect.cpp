#include "tokenizer/regex_dialect.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tokenizer/errors.h"

namespace hadal::tokenizer {
namespace {

constexpr std::array<std::string_view, 6> kGroups = {"?:", "?=", "?!", "?>", "?<=", "?<!"};

constexpr std::array<std::string_view, 37> kCategories = {
    "C",  "Cc", "Cf", "Cn", "Co", "Cs", "L",  "Ll", "Lm", "Lo", "Lt", "Lu", "M",  "Mc", "Me", "Mn", "N",  "Nd", "Nl",
    "No", "P",  "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S",  "Sc", "Sk", "Sm", "So", "Z",  "Zl", "Zp", "Zs"};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_ascii_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

class Translator {
 public:
  explicit Translator(std::string_view regex) : in_(regex) {}

  Result<std::string> run() {
    while (at_ < in_.size()) {
      switch (in_[at_]) {
        case '\\':
          HADAL_TRY(escape());
          break;
        case '[':
          HADAL_TRY(char_class());
          break;
        case '(':
          HADAL_TRY(group());
          break;
        case '{':
          HADAL_TRY(counted_repeat());
          break;
        case '^':
        case '$':
          return refuse(1, "an anchor");
        default:
          copy(1);
      }
    }
    return std::move(out_);
  }

 private:
  std::string_view rest() const { return in_.substr(at_); }
  char peek(size_t ahead) const { return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0'; }

  void copy(size_t bytes) {
    out_ += in_.substr(at_, bytes);
    at_ += bytes;
  }

  Error refuse(size_t bytes, std::string_view construct) const {
    return make_error(ErrorCode::kUnsupported, "regex uses a construct that Hadal does not have",
                      fmt::format("byte {} of the regex", at_), "a regex of the kind in tokenizer/regex_dialect.h",
                      fmt::format("{} {} in {}", construct, quoted(in_.substr(at_, bytes)), quoted(in_)));
  }

  Result<void> escape() {
    const char c = peek(1);
    if (c == 's' || c == 'S') {
      out_ += c == 's' ? "\\p{White_Space}" : "\\P{White_Space}";
      at_ += 2;
    } else if (c == 'p' || c == 'P') {
      return property();
    } else if (c == 'x') {
      return code_point();
    } else if (c != '\0' && (is_ascii_punctuation(c) || std::string_view("nrtfdD").find(c) != std::string_view::npos)) {
      copy(2);
    } else {
      return refuse(2, "the escape");
    }
    return {};
  }

  Result<void> property() {
    const size_t close = rest().find('}');
    if (peek(2) != '{' || close == std::string_view::npos) return refuse(2, "the property");
    const std::string_view name = rest().substr(3, close - 3);
    if (std::find(kCategories.begin(), kCategories.end(), name) == kCategories.end()) {
      return refuse(close + 1, "the property");
    }
    copy(close + 1);
    return {};
  }

  Result<void> code_point() {
    constexpr size_t kDigitsMax = 6;
    size_t digits = 0;
    while (digits <= kDigitsMax && is_hex(peek(3 + digits))) ++digits;
    if (peek(2) != '{' || digits == 0 || digits > kDigitsMax || peek(3 + digits) != '}') {
      return refuse(2, "the escape");
    }
    copy(digits + 4);
    return {};
  }

  Result<void> char_class() {
    copy(peek(1) == '^' ? 2 : 1);
    if (peek(0) == ']') return refuse(1, "an unescaped bracket in a class");
    while (at_ < in_.size() && in_[at_] != ']') {
      if (in_[at_] == '[') return refuse(1, "an unescaped bracket in a class");
      if (rest().starts_with("&&")) return refuse(2, "an intersection of classes");
      if (in_[at_] == '\\') {
        HADAL_TRY(escape());
      } else {
        copy(1);
      }
    }
    if (at_ == in_.size()) return refuse(0, "a class without its end");
    copy(1);
    return {};
  }

  Result<void> group() {
    if (peek(1) == '*') return refuse(2, "a verb");
    if (peek(1) == '?') {
      const std::string_view behind = rest().substr(1);
      const auto known = std::find_if(kGroups.begin(), kGroups.end(),
                                      [behind](std::string_view opening) { return behind.starts_with(opening); });
      if (known == kGroups.end()) return refuse(3, "the group");
      copy(known->size());
    }
    copy(1);
    return {};
  }

  Result<void> counted_repeat() {
    size_t n = 1;
    const auto digits = [&] {
      const size_t begin = n;
      while (is_digit(peek(n))) ++n;
      return n - begin;
    };
    constexpr size_t kDigitsMax = 3;
    const size_t low = digits();
    size_t high = 0;
    if (peek(n) == ',') {
      ++n;
      high = digits();
    }
    if (low == 0 || low > kDigitsMax || high > kDigitsMax || peek(n) != '}') return refuse(n + 1, "the repeat");
    if (peek(n + 1) == '+' || peek(n + 1) == '?') return refuse(n + 2, "the repeat");
    copy(n + 1);
    return {};
  }

  std::string_view in_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

Result<std::string> regex_for_pcre2(std::string_view regex) {
  if (regex.size() > kRegexBytesMax) {
    return make_error(ErrorCode::kLimit, "regex is too long", "", fmt::format("at most {} bytes", kRegexBytesMax),
                      fmt::format("{} bytes", regex.size()));
  }
  return Translator(regex).run();
}

}  // namespace hadal::tokenizer
