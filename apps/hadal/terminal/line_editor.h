// Reads messages from a person at a terminal, or from a pipe.
//
// At a terminal: editing keys and history by libedit, messages of several lines (message_lines.h), a paste of several
// lines taken as one (bracketed paste), Tab completing commands. Ctrl-C clears what was typed; on an empty line it is
// reported, and twice in a row it ends the input, as Ctrl-D does. From a pipe: the same rules for lines, no prompt, no
// history.
//
// The terminal's modes are set while read() runs and put back before it returns; a terminating signal puts them back as
// well.
#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/io.h"
#include "base/result.h"

namespace hadal {

struct LineEditorOptions {
  std::string prompt = ">>> ";
  std::string continuation = "... ";     // before the second and later lines of a message
  std::vector<std::string> completions;  // words that Tab offers at the start of a message: "/help", ...
  fs::path history;                      // empty: nothing is kept between runs
};

struct LineInput {
  enum class Kind {
    kMessage,      // text: UTF-8, without the final line end
    kInterrupted,  // Ctrl-C on an empty line, once
    kEnd,          // Ctrl-D, Ctrl-C twice, or the end of the pipe
  };
  Kind kind = Kind::kEnd;
  std::string text;
};

class LineEditor {
 public:
  // `input` and `output` stay open as long as the editor lives; the editor edits when both are terminals, and else
  // reads plainly. Sets the process's LC_CTYPE to a UTF-8 locale.
  LineEditor(const LineEditorOptions& options, std::FILE* input, std::FILE* output);

  LineEditor(LineEditor&&) noexcept;
  LineEditor& operator=(LineEditor&&) noexcept;
  ~LineEditor();

  // Waits for the next message. Empty messages are reported as such. Errors: Limit (the message is dropped), Io; the
  // editor may be used again.
  Result<LineInput> read();

  // Why the history is not kept, told once; a chat goes on without it.
  std::optional<Error> take_history_error();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal
