#include "tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>

#include "base/check.h"
#include "tokenizer/errors.h"
#include "tokenizer/regex_dialect.h"

namespace hadal::tokenizer {
namespace {

// Longest word of real text by far; most matches end within 20 bytes.
constexpr size_t kWindowBytes = 256;
// PCRE2 counts each return to a point of choice. DeepSeek's regexes take a handful a word.
constexpr uint32_t kWindowSteps = 64;
// An attempt that needs more is charged window x steps, which is what the worst regex can make of them.
constexpr uint64_t kBudgetStepsMin = uint64_t{1} << 32;
constexpr uint64_t kBudgetStepsPerByte = 4096;
constexpr uint64_t kAttemptStepsMax = uint64_t{1} << 30;
constexpr size_t kGrowth = 4;
// Frames of PCRE2's interpreter, which are of the order of 100 bytes a step.
constexpr uint32_t kHeapKiBMax = 64 * 1024;
constexpr uint32_t kParenthesesDepthMax = 64;

size_t character_bytes(char lead) {
  const auto byte = static_cast<uint8_t>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// The end of a window of about `bytes` from `from`, not inside a character.
size_t window_end(std::string_view text, size_t from, size_t bytes) {
  if (text.size() - from <= bytes) return text.size();
  size_t end = from + bytes;
  while (end < text.size() && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80) ++end;
  return end;
}

}  // namespace

struct Regex::Code {
  pcre2_code* code = nullptr;
  ~Code() { pcre2_code_free(code); }
};

Regex::Regex(std::unique_ptr<Code> code) : code_(std::move(code)) {}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

Result<Regex> Regex::compile(std::string_view regex) {
  HADAL_ASSIGN(const std::string translated, regex_for_pcre2(regex));
  std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  HADAL_CHECK(context != nullptr, "no memory for a PCRE2 context");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);  // what "." does not match; a build option of PCRE2 otherwise
  pcre2_set_parens_nest_limit(context.get(), kParenthesesDepthMax);
  int error_number = 0;
  PCRE2_SIZE error_offset = 0;
  auto code = std::make_unique<Code>();
  code->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(), PCRE2_UTF | PCRE2_UCP,
                             &error_number, &error_offset, context.get());
  if (code->code == nullptr) {
    char message[256] = "";
    pcre2_get_error_message(error_number, reinterpret_cast<PCRE2_UCHAR*>(message), sizeof message);
    return make_error(ErrorCode::kCorrupt, "not a valid regex", "", "a regex",
                      fmt::format("{}: {}", quoted(regex), message));
  }
  // Failing is fine: pcre2_match then interprets.
  pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
  return Regex(std::move(code));
}

struct RegexSearch::Scratch {
  pcre2_match_data* data = nullptr;
  pcre2_match_context* context = nullptr;
  uint32_t options = PCRE2_NO_UTF_CHECK;

  explicit Scratch(const pcre2_code* code)
      : data(pcre2_match_data_create_from_pattern(code, nullptr)), context(pcre2_match_context_create(nullptr)) {
    HADAL_CHECK(data != nullptr && context != nullptr, "no memory for a PCRE2 match");
    pcre2_set_heap_limit(context, kHeapKiBMax);
  }
  ~Scratch() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
};

RegexSearch::RegexSearch(const Regex& regex, size_t text_bytes)
    : regex_(regex),
      scratch_(std::make_unique<Scratch>(regex.code_->code)),
      budget_steps_(kBudgetStepsMin + kBudgetStepsPerByte * text_bytes) {}
RegexSearch::~RegexSearch() = default;

void RegexSearch::split(std::string_view text, size_t offset, std::vector<size_t>& ends) {
  size_t piece_begin = 0;
  const auto end_piece = [&](size_t end) {
    if (end == piece_begin) return;
    ends.push_back(offset + end);
    piece_begin = end;
  };
  size_t from = 0;
  std::optional<size_t> last_match_end;
  while (from <= text.size()) {
    const std::optional<Match> match = find(text, from);
    if (!match) break;
    // An empty match right behind the last one is none, or the search would stand still.
    if (match->end == match->begin && last_match_end == match->end) {
      from = match->end + (match->end < text.size() ? character_bytes(text[match->end]) : 1);
      continue;
    }
    end_piece(match->begin);
    end_piece(match->end);
    from = match->end;
    last_match_end = match->end;
  }
  end_piece(text.size());
}

std::optional<RegexSearch::Match> RegexSearch::find(std::string_view text, size_t from) {
  while (!is_exhausted_) {
    const size_t end = window_end(text, from, kWindowBytes);
    switch (attempt(text, from, end, kWindowSteps, false)) {
      case Outcome::kMatch:
        return found();
      case Outcome::kNone:
        if (end == text.size()) return std::nullopt;
        from = end;
        continue;
      case Outcome::kMoreText:
        from = found().begin;
        break;  // nothing before it matches
      case Outcome::kMoreSteps:
        break;  // somewhere in the window
      case Outcome::kExhausted:
        return std::nullopt;
    }
    // One position at a time, to the end of the window that was too hard.
    do {
      const Outcome outcome = attempt_deeply(text, from);
      if (outcome == Outcome::kMatch) return found();
      if (outcome == Outcome::kExhausted || from == text.size()) return std::nullopt;
      from += character_bytes(text[from]);
    } while (from < end);
  }
  return std::nullopt;
}

RegexSearch::Outcome RegexSearch::attempt_deeply(std::string_view text, size_t at) {
  size_t window = kWindowBytes;
  uint64_t steps = kWindowSteps;
  while (true) {
    const auto steps_max = static_cast<uint32_t>(std::min(steps, kAttemptStepsMax));
    const Outcome outcome = attempt(text, at, window_end(text, at, window), steps_max, true);
    if (outcome == Outcome::kMoreText) {
      window *= kGrowth;
    } else if (outcome == Outcome::kMoreSteps) {
      steps *= kGrowth;
    } else {
      return outcome;
    }
    const uint64_t charge = std::min(window, text.size()) * steps;
    if (charge > budget_steps_ || steps > kAttemptStepsMax) {
      is_exhausted_ = true;
      return Outcome::kExhausted;
    }
    budget_steps_ -= charge;
  }
}

RegexSearch::Outcome RegexSearch::attempt(std::string_view text, size_t from, size_t end, uint32_t steps_max,
                                          bool is_anchored) {
  pcre2_set_match_limit(scratch_->context, steps_max);
  // Partial matching tells apart "no match" and "cannot say without the text behind the window".
  const uint32_t options =
      scratch_->options | (is_anchored ? PCRE2_ANCHORED : 0u) | (end < text.size() ? PCRE2_PARTIAL_HARD : 0u);
  const int result = pcre2_match(regex_.code_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), end, from, options,
                                 scratch_->data, scratch_->context);
  if (result >= 0) {
    // At the window's end, where nothing was inspected, a lookahead took that for the end of the text.
    return found().begin == end && end < text.size() ? Outcome::kMoreText : Outcome::kMatch;
  }
  switch (result) {
    case PCRE2_ERROR_NOMATCH:
      return Outcome::kNone;
    case PCRE2_ERROR_PARTIAL:
      return Outcome::kMoreText;
    case PCRE2_ERROR_MATCHLIMIT:
      return Outcome::kMoreSteps;
    case PCRE2_ERROR_JIT_STACKLIMIT:
      // The interpreter keeps its frames on the heap.
      scratch_->options |= PCRE2_NO_JIT;
      return attempt(text, from, end, steps_max, is_anchored);
    default:  // memory for the interpreter's frames
      is_exhausted_ = true;
      return Outcome::kExhausted;
  }
}

RegexSearch::Match RegexSearch::found() const {
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(scratch_->data);
  return {offsets[0], offsets[1]};
}

}  // namespace hadal::tokenizer
