#include "tokenizer/deepseek_scanner.h"

namespace hadal::tokenizer {

const std::array<std::string_view, 3> kDeepSeekSplits = {
    R"(\p{N}{1,3})",
    "[一-龥぀-ゟ゠-ヿ]+",
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)"
    "|[^\r\n"
    R"(\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[)"
    "\r\n"
    R"(]*|\s*[)"
    "\r\n"
    R"(]+|\s+(?!\S)|\s+)",
};

namespace {

// What ends a segment between numbers and CJK runs.
constexpr uint8_t kSegmentEnd = kNumber | kCjk;

bool is_ascii_letter(char c) {
  const auto lower = static_cast<uint8_t>(c | 0x20);
  return lower >= 'a' && lower <= 'z';
}

}  // namespace

std::string_view DeepSeekScanner::next() {
  const char* begin = at_;
  if (begin == end_) return {};
  int length = 0;
  const uint8_t first = class_at(begin, length);
  if (first & kNumber) {
    at_ = numbers_end(begin);
  } else if (first & kCjk) {
    at_ = cjk_end(begin);
  } else {
    at_ = plain_end(begin);
  }
  return {begin, static_cast<size_t>(at_ - begin)};
}

uint8_t DeepSeekScanner::class_at_or_end(const char* p) const {
  int length = 0;
  return p == end_ ? uint8_t{0} : class_at(p, length);
}

const char* DeepSeekScanner::skip(const char* p, uint8_t classes) const {
  while (p < end_) {
    int length = 0;
    if (!(class_at(p, length) & classes)) break;
    p += length;
  }
  return p;
}

const char* DeepSeekScanner::numbers_end(const char* p) const {
  for (int n = 0; n < 3 && p < end_; ++n) {
    int length = 0;
    if (!(class_at(p, length) & kNumber)) break;
    p += length;
  }
  return p;
}

// Inside the CJK range there is no white space: stage 3 makes runs of letters, runs of symbols ("・"), and of the three
// code points that are neither, the last one before a letter belongs to it.
const char* DeepSeekScanner::cjk_end(const char* p) const {
  int length = 0;
  uint8_t here = class_at(p, length);
  if (here & kCjkLetter) return skip(p + length, kCjkLetter);
  if (here & kCjkSymbol) return skip(p + length, kCjkSymbol);
  if (class_at_or_end(p + length) & kCjkLetter) return skip(p + length, kCjkLetter);
  // No alternative matches here: the piece reaches to where one does.
  while (true) {
    p += length;
    if (p == end_) return p;
    here = class_at(p, length);
    if (here != kCjk) return p;
    if (class_at_or_end(p + length) & kCjkLetter) return p;
  }
}

const char* DeepSeekScanner::plain_end(const char* p) const {
  int length = 0;
  uint8_t here = class_at(p, length);
  if (here & kLetter) return skip(p + length, kLetter);
  const char* second = p + length;
  if (here & kSymbol) {
    // Every ASCII character of \p{P} and \p{S} is in the first alternative's list.
    if (length == 1 && second < end_ && is_ascii_letter(*second)) {
      do ++second;
      while (second < end_ && is_ascii_letter(*second));
      return second;
    }
    return symbols_end(second);
  }
  if (here & kNewline) return space_end(p);
  const uint8_t after = class_at_or_end(second);
  if (after & kLetter) return skip(second, kLetter);
  if (*p == ' ' && (after & kSymbol)) return symbols_end(second);
  if (here & kSpace) return space_end(p);
  // A control, format, private or unassigned character. No alternative matches: the piece reaches to where one does.
  while (true) {
    p += length;
    if (p == end_) return p;
    here = class_at(p, length);
    if (here != 0 || (class_at_or_end(p + length) & kLetter)) return p;
  }
}

const char* DeepSeekScanner::symbols_end(const char* p) const {
  return skip(skip(p, kSymbol), kNewline);
}

const char* DeepSeekScanner::space_end(const char* p) const {
  const char* begin = p;
  const char* last = p;                 // the last character of the run
  const char* after_newline = nullptr;  // behind the last line break of the run
  bool is_segment_end = true;
  while (p < end_) {
    int length = 0;
    const uint8_t here = class_at(p, length);
    if (!(here & kSpace)) {
      is_segment_end = (here & kSegmentEnd) != 0;
      break;
    }
    last = p;
    p += length;
    if (here & kNewline) after_newline = p;
  }
  if (after_newline != nullptr) return after_newline;  // \s*[\r\n]+
  if (is_segment_end || last == begin) return p;       // \s+(?!\S), or \s+ for a single one
  return last;                                         // \s+(?!\S) leaves one for the word behind it
}

}  // namespace hadal::tokenizer
