// Lines of a pipe or a file, without prompt and editing.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace hadal {

class PlainLines {
 public:
  // The descriptor stays open as long as this object lives.
  explicit PlainLines(int fd) : fd_(fd) {}

  // The next line without its end ("\n" or "\r\n"), waiting for it; nothing at the end of the input. A last line
  // without an end counts. Errors: Io; Limit beyond kMessageBytesMax, after which reading goes on with the next line.
  Result<std::optional<std::string>> read_line();

 private:
  // Reads more bytes into buffer_; false at the end.
  Result<bool> fill();

  int fd_;
  std::string buffer_;
};

}  // namespace hadal
