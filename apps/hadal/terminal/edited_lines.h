// Lines typed at a terminal, edited by libedit (BSD). The only file that knows libedit.
//
// What libedit does not have and this adds: Ctrl-C as a key (the terminal's interrupt character is off while a line is
// edited), bracketed paste (a pasted text is inserted as it is, line feeds included, control characters dropped), and
// Tab for a list of words. The user's ~/.editrc is read.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace hadal {

inline constexpr size_t kPasteCharactersMax = size_t{1} << 20;  // of one paste; the rest is dropped

class EditedLines {
 public:
  struct Line {
    enum class Kind { kText, kInterrupted, kEnd };
    Kind kind = Kind::kEnd;
    bool was_cleared = false;  // Ctrl-C took typed text away before this ended
    std::string text;          // UTF-8 in a UTF-8 locale; pasted line feeds inside
  };

  // Both streams are terminals and stay open. `completions` are offered at the start of a line.
  EditedLines(std::FILE* input, std::FILE* output, std::vector<std::string> completions);
  ~EditedLines();
  EditedLines(const EditedLines&) = delete;
  EditedLines& operator=(const EditedLines&) = delete;

  // Waits for a line. kInterrupted: Ctrl-C on an empty line, or on any line when `is_continuation`; the cursor stands
  // at the start of a free line then. kEnd: Ctrl-D on an empty line, or the terminal is gone.
  Line read_line(const std::string& prompt, bool is_continuation);

  // What arrow-up brings back. An entry like the one before it is not added.
  void add_history(const std::string& entry);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal
