#include "model/engram_token_classes.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <unordered_map>

#include "base/check.h"
#include "tokenizer/byte_alphabet.h"

namespace hadal {
namespace {

constexpr std::string_view kReplacement = "\uFFFD";
constexpr char32_t kLoneSpace = 0xE000;  // stands for a text of one space while white space is stripped

using CodePoints = std::u32string;

struct Free {
  void operator()(utf8proc_uint8_t* p) const { std::free(p); }
};

std::string mapped(std::string_view text, int options) {
  utf8proc_uint8_t* out = nullptr;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const utf8proc_ssize_t n = utf8proc_map(bytes, static_cast<utf8proc_ssize_t>(text.size()), &out,
                                          static_cast<utf8proc_option_t>(options | UTF8PROC_STABLE));
  const std::unique_ptr<utf8proc_uint8_t, Free> owner(out);
  HADAL_CHECK(n >= 0, "text of a token is UTF-8", n);
  return std::string(reinterpret_cast<const char*>(out), static_cast<size_t>(n));
}

CodePoints code_points(std::string_view text) {
  CodePoints points;
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t point = 0;
    const utf8proc_ssize_t n = utf8proc_iterate(at, left, &point);
    HADAL_CHECK(n > 0, "text of a token is UTF-8", n);
    points.push_back(static_cast<char32_t>(point));
    at += n;
    left -= n;
  }
  return points;
}

std::string utf8(const CodePoints& points) {
  std::string text;
  for (const char32_t point : points) {
    std::array<utf8proc_uint8_t, 4> bytes;
    const utf8proc_ssize_t n = utf8proc_encode_char(static_cast<utf8proc_int32_t>(point), bytes.data());
    text.append(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(n));
  }
  return text;
}

// What the normaliser folds, and what it strips: Unicode's White_Space.
bool is_folded(char32_t c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// Mn, Mc and Me: the reference's "accents" are all combining marks.
bool is_mark(utf8proc_int32_t point) {
  const utf8proc_category_t category = utf8proc_category(point);
  return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC || category == UTF8PROC_CATEGORY_ME;
}

// Runs of white space become one space.
CodePoints folded(const CodePoints& points) {
  CodePoints out;
  for (const char32_t c : points) {
    if (!is_folded(c)) {
      out.push_back(c);
    } else if (out.empty() || out.back() != ' ') {
      out.push_back(' ');
    }
  }
  return out;
}

CodePoints stripped(const CodePoints& points) {
  size_t begin = 0;
  size_t end = points.size();
  while (begin < end && is_white_space(points[begin])) ++begin;
  while (end > begin && is_white_space(points[end - 1])) --end;
  return points.substr(begin, end - begin);
}

// A token's spelling in tokenizer.json.
std::string spelled(const Tokenizer& tokenizer, TokenId id) {
  static const tokenizer::ByteAlphabet kAlphabet;
  if (tokenizer.is_added(id)) return std::string(tokenizer.token_bytes(id));
  std::string text;
  for (const char byte : tokenizer.token_bytes(id)) text += kAlphabet.spelling(static_cast<uint8_t>(byte));
  return text;
}

std::string class_key(const Tokenizer& tokenizer, TokenId id) {
  const std::string text = tokenizer.decode(std::array{id}, false);
  if (text.find(kReplacement) != std::string::npos) return spelled(tokenizer, id);
  std::string key = engram_normalized(text);
  return key.empty() ? text : key;
}

}  // namespace

std::string engram_normalized(std::string_view text) {
  const std::string decomposed = mapped(mapped(text, UTF8PROC_COMPOSE | UTF8PROC_COMPAT), UTF8PROC_DECOMPOSE);
  CodePoints points;
  for (const char32_t c : code_points(decomposed)) {
    const auto point = static_cast<utf8proc_int32_t>(c);
    if (!is_mark(point)) {
      points.push_back(static_cast<char32_t>(utf8proc_tolower(point)));
    }
  }
  points = folded(points);
  if (points == U" ") points = kLoneSpace;
  points = stripped(points);
  for (char32_t& c : points) {
    if (c == kLoneSpace) c = ' ';
  }
  return utf8(points);
}

Result<std::vector<int32_t>> engram_token_classes(const Tokenizer& tokenizer, const ModelDescription& d,
                                                  std::string_view place) {
  std::unordered_map<std::string, int32_t> class_of;
  std::vector<int32_t> classes;
  int32_t n_classes = 0;
  for (int64_t id = 0; id < d.vocab_size; ++id) {
    if (id >= tokenizer.vocab_size()) {
      classes.push_back(n_classes++);
      continue;
    }
    const auto [entry, is_new] = class_of.try_emplace(class_key(tokenizer, static_cast<TokenId>(id)), n_classes);
    if (is_new) ++n_classes;
    classes.push_back(entry->second);
  }
  if (n_classes == d.engram_n_classes) return classes;
  return Error{.code = ErrorCode::kInvalid,
               .what = "the tokenizer's texts do not make the classes that Engram was trained with",
               .in = std::string(place),
               .want = fmt::format("{} classes (engram_compressed_vocab_size)", d.engram_n_classes),
               .found = fmt::format("{} of {} tokens", n_classes, tokenizer.vocab_size()),
               .hint = "take the release's own tokenizer.json, or put its engram_token_map.json beside the weights"};
}

}  // namespace hadal
