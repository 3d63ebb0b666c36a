#include "terminal/line_editor.h"

#include <langinfo.h>
#include <unistd.h>

#include <clocale>
#include <optional>
#include <string_view>
#include <utility>

#include "base/utf8.h"
#include "terminal/edited_lines.h"
#include "terminal/history_file.h"
#include "terminal/message_lines.h"
#include "terminal/plain_lines.h"

namespace hadal {
namespace {

// libedit reads characters by the locale. Under "C", as in many containers, every letter but ASCII would be lost.
void use_utf8_locale() {
  std::setlocale(LC_CTYPE, "");
  if (std::string_view(::nl_langinfo(CODESET)) != "UTF-8") std::setlocale(LC_CTYPE, "C.UTF-8");
}

}  // namespace

struct LineEditor::Impl {
  Impl(const LineEditorOptions& editor_options, std::FILE* input)
      : options(editor_options), history(editor_options.history), plain(::fileno(input)) {}

  LineEditorOptions options;
  HistoryFile history;
  std::unique_ptr<EditedLines> edited;  // null when not at a terminal
  PlainLines plain;
  MessageLines lines;
  int n_interrupts = 0;  // Ctrl-C in a row
  std::optional<Error> history_error;
  bool is_history_kept = true;

  EditedLines::Line next_line() {
    return edited->read_line(lines.is_open() ? options.continuation : options.prompt, lines.is_open());
  }

  Result<LineInput> read_edited();
  Result<LineInput> read_plain();
  LineInput finish_message();
  void edit(std::FILE* input, std::FILE* output);
  void lose_history(const Error& error);
};

// One report, and no more attempts.
void LineEditor::Impl::lose_history(const Error& error) {
  history_error = error;
  is_history_kept = false;
}

void LineEditor::Impl::edit(std::FILE* input, std::FILE* output) {
  edited = std::make_unique<EditedLines>(input, output, options.completions);
  const Result<std::vector<std::string>> entries = history.load();
  if (!entries.ok()) return lose_history(entries.error());
  for (const std::string& entry : *entries) edited->add_history(entry);
}

LineInput LineEditor::Impl::finish_message() {
  n_interrupts = 0;
  LineInput message{.kind = LineInput::Kind::kMessage, .text = utf8::sanitize(lines.take())};
  if (edited == nullptr || message.text.empty()) return message;
  edited->add_history(message.text);
  if (!is_history_kept) return message;
  const Result<void> appended = history.append(message.text);
  if (!appended.ok()) lose_history(appended.error());
  return message;
}

Result<LineInput> LineEditor::Impl::read_edited() {
  while (true) {
    const bool was_open = lines.is_open();
    const EditedLines::Line line = next_line();
    if (line.was_cleared) n_interrupts = 1;
    switch (line.kind) {
      case EditedLines::Line::Kind::kText: {
        HADAL_ASSIGN(const bool is_complete, lines.push(line.text));
        if (is_complete) return finish_message();
        break;
      }
      case EditedLines::Line::Kind::kEnd:
        lines.take();
        return LineInput{.kind = LineInput::Kind::kEnd, .text = {}};
      case EditedLines::Line::Kind::kInterrupted:
        lines.take();
        // Dropping the lines of an unfinished message is "clearing": the next prompt is a fresh one.
        if (was_open) {
          n_interrupts = 1;
          break;
        }
        ++n_interrupts;
        return LineInput{.kind = n_interrupts >= 2 ? LineInput::Kind::kEnd : LineInput::Kind::kInterrupted, .text = {}};
    }
  }
}

Result<LineInput> LineEditor::Impl::read_plain() {
  while (true) {
    HADAL_ASSIGN(const std::optional<std::string> line, plain.read_line());
    if (!line.has_value()) {
      // What an unfinished message has is a message: a script may have lost its last fence.
      if (lines.is_open()) return finish_message();
      return LineInput{.kind = LineInput::Kind::kEnd, .text = {}};
    }
    HADAL_ASSIGN(const bool is_complete, lines.push(*line));
    if (is_complete) return finish_message();
  }
}

LineEditor::LineEditor(const LineEditorOptions& options, std::FILE* input, std::FILE* output)
    : impl_(std::make_unique<Impl>(options, input)) {
  use_utf8_locale();
  if (::isatty(::fileno(input)) == 1 && ::isatty(::fileno(output)) == 1) impl_->edit(input, output);
}

LineEditor::LineEditor(LineEditor&&) noexcept = default;
LineEditor& LineEditor::operator=(LineEditor&&) noexcept = default;
LineEditor::~LineEditor() = default;

Result<LineInput> LineEditor::read() {
  return impl_->edited != nullptr ? impl_->read_edited() : impl_->read_plain();
}

std::optional<Error> LineEditor::take_history_error() {
  return std::exchange(impl_->history_error, std::nullopt);
}

}  // namespace hadal
