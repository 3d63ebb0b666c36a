#include "terminal/edited_lines.h"

#include <histedit.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "terminal/history_file.h"
#include "terminal/style.h"

namespace hadal {
namespace {

constexpr std::string_view kPasteOn = "\033[?2004h";
constexpr std::string_view kPasteOff = "\033[?2004l";
constexpr std::wstring_view kPasteEnd = L"\033[201~";
constexpr int kCursorToEnd = 1 << 28;  // el_cursor() stops at the end of the line

// The line as it stands: all of it, and the part before the cursor.
std::pair<std::string, std::string> current_line(EditLine* el) {
  const LineInfo* line = ::el_line(el);
  return {std::string(line->buffer, line->lastchar), std::string(line->buffer, line->cursor)};
}

void clear_line(EditLine* el) {
  ::el_cursor(el, kCursorToEnd);
  const LineInfoW* line = ::el_wline(el);
  ::el_wdeletestr(el, static_cast<int>(line->lastchar - line->buffer));
}

// Carriage returns become line feeds; what could move the cursor or start a sequence is dropped.
std::wstring clean_paste(std::wstring_view pasted) {
  std::wstring text;
  for (const wchar_t c : pasted) {
    const bool is_control = (c < 0x20 && c != L'\n' && c != L'\r' && c != L'\t') || (c >= 0x7F && c < 0xA0);
    if (!is_control) text += c == L'\r' ? L'\n' : c;
  }
  // A copied line brings its end along.
  while (text.ends_with(L'\n')) text.pop_back();
  return text;
}

std::string common_prefix(const std::vector<std::string>& words) {
  std::string prefix = words.front();
  for (const std::string& word : words) {
    const auto end = std::mismatch(prefix.begin(), prefix.end(), word.begin(), word.end()).first;
    prefix.erase(end, prefix.end());
  }
  return prefix;
}

}  // namespace

struct EditedLines::Impl {
  EditLine* el = nullptr;
  History* history = nullptr;
  std::FILE* output = nullptr;
  bool has_paste = false;
  std::vector<std::string> completions;

  // Of the line that is being read; the callbacks below write them.
  std::string prompt;
  bool is_continuation = false;
  bool was_interrupted = false;
  bool was_cleared = false;

  static Impl& of(EditLine* el) {
    Impl* self = nullptr;
    ::el_get(el, EL_CLIENTDATA, &self);
    return *self;
  }

  static char* prompt_of(EditLine* el) { return of(el).prompt.data(); }

  static unsigned char on_interrupt(EditLine* el, int) {
    Impl& self = of(el);
    const bool was_empty = current_line(el).first.empty();
    self.was_cleared = self.was_cleared || !was_empty;
    clear_line(el);
    if (!was_empty && !self.is_continuation) return CC_REFRESH;
    self.was_interrupted = true;
    return CC_EOF;
  }

  // libedit handles the signal: it puts the terminal back before the stop, and redraws the line after it. Where nobody
  // can resume the program (no shell above it) there is no stop, and the terminal's mode must change again.
  static unsigned char on_suspend(EditLine* el, int) {
    ::raise(SIGTSTP);
    ::el_set(el, EL_PREP_TERM, 1);
    return CC_REFRESH;
  }

  static unsigned char on_paste(EditLine* el, int) {
    std::wstring pasted;
    wchar_t c = 0;
    while (!pasted.ends_with(kPasteEnd)) {
      if (::el_wgetc(el, &c) <= 0) return CC_EOF;
      if (pasted.size() >= kPasteCharactersMax + kPasteEnd.size()) {
        // Keeps looking for the end in a window of its length.
        pasted.erase(kPasteCharactersMax, 1);
      }
      pasted += c;
    }
    pasted.resize(pasted.size() - kPasteEnd.size());
    const std::wstring text = clean_paste(pasted);
    if (text.empty()) return CC_NORM;
    return ::el_winsertstr(el, text.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
  }

  static unsigned char on_tab(EditLine* el, int) {
    Impl& self = of(el);
    const std::string typed = current_line(el).second;
    std::vector<std::string> matches;
    if (!self.is_continuation && !typed.empty()) {
      std::copy_if(self.completions.begin(), self.completions.end(), std::back_inserter(matches),
                   [&typed](const std::string& word) { return word.starts_with(typed); });
    }
    if (matches.empty()) return CC_ERROR;
    std::string more = common_prefix(matches).substr(typed.size());
    if (matches.size() == 1) more += ' ';
    if (!more.empty()) return ::el_insertstr(el, more.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
    std::fputc('\n', self.output);
    for (const std::string& match : matches) std::fprintf(self.output, "%s  ", match.c_str());
    std::fputc('\n', self.output);
    return CC_REDISPLAY;
  }

  void bind_keys() {
    ::el_set(el, EL_ADDFN, "hadal-interrupt", "Clear the line", on_interrupt);
    ::el_set(el, EL_ADDFN, "hadal-paste", "Insert a bracketed paste", on_paste);
    ::el_set(el, EL_ADDFN, "hadal-complete", "Complete a command", on_tab);
    ::el_set(el, EL_ADDFN, "hadal-suspend", "Stop the program for a while", on_suspend);
    ::el_set(el, EL_BIND, "^C", "hadal-interrupt", nullptr);
    ::el_set(el, EL_BIND, "^Z", "hadal-suspend", nullptr);
    ::el_set(el, EL_BIND, "\\e[200~", "hadal-paste", nullptr);
    ::el_set(el, EL_BIND, "^I", "hadal-complete", nullptr);
    ::el_set(el, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    // Ctrl-C and Ctrl-Z arrive as keys while a line is edited ("-d": that mode only).
    ::el_set(el, EL_SETTY, "-d", "-isig", nullptr);
  }

  void write(std::string_view text) const {
    std::fwrite(text.data(), 1, text.size(), output);
    std::fflush(output);
  }
};

EditedLines::EditedLines(std::FILE* input, std::FILE* output, std::vector<std::string> completions)
    : impl_(std::make_unique<Impl>()) {
  impl_->output = output;
  impl_->has_paste = inspect_terminal(::fileno(output)).has_motion;
  impl_->completions = std::move(completions);
  impl_->el = ::el_init("hadal", input, output, stderr);
  impl_->history = ::history_init();
  HADAL_CHECK(impl_->el != nullptr && impl_->history != nullptr, "libedit has memory");
  HistEvent event;
  ::history(impl_->history, &event, H_SETSIZE, static_cast<int>(kHistoryEntriesMax));
  ::history(impl_->history, &event, H_SETUNIQUE, 1);
  EditLine* el = impl_->el;
  ::el_set(el, EL_CLIENTDATA, impl_.get());
  ::el_set(el, EL_PROMPT, Impl::prompt_of);
  ::el_set(el, EL_EDITOR, "emacs");
  ::el_set(el, EL_SIGNAL, 1);
  ::el_set(el, EL_HIST, ::history, impl_->history);
  ::el_source(el, nullptr);
  impl_->bind_keys();
}

EditedLines::~EditedLines() {
  ::el_end(impl_->el);
  ::history_end(impl_->history);
}

EditedLines::Line EditedLines::read_line(const std::string& prompt, bool is_continuation) {
  impl_->prompt = prompt;
  impl_->is_continuation = is_continuation;
  impl_->was_interrupted = false;
  impl_->was_cleared = false;
  // The terminal's mode changes before the prompt appears: what is typed after it is a key.
  ::el_set(impl_->el, EL_PREP_TERM, 1);
  if (impl_->has_paste) impl_->write(kPasteOn);
  int n_bytes = 0;
  const char* bytes = ::el_gets(impl_->el, &n_bytes);
  if (impl_->has_paste) impl_->write(kPasteOff);

  Line line{.was_cleared = impl_->was_cleared, .text = {}};
  if (bytes != nullptr && n_bytes > 0) {
    line.kind = Line::Kind::kText;
    line.text.assign(bytes, static_cast<size_t>(n_bytes));
    if (line.text.ends_with('\n')) line.text.pop_back();
    return line;
  }
  impl_->write("\n");
  line.kind = impl_->was_interrupted ? Line::Kind::kInterrupted : Line::Kind::kEnd;
  return line;
}

void EditedLines::add_history(const std::string& entry) {
  HistEvent event;
  ::history(impl_->history, &event, H_ENTER, entry.c_str());
}

}  // namespace hadal
