#include "terminal/plain_lines.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/format.h"
#include "terminal/message_lines.h"

namespace hadal {

Result<std::optional<std::string>> PlainLines::read_line() {
  std::string line;
  bool is_too_long = false;
  while (true) {
    const size_t end = buffer_.find('\n');
    const bool has_end = end != std::string::npos;
    line.append(buffer_, 0, end);
    buffer_.erase(0, has_end ? end + 1 : std::string::npos);
    if (line.size() > kMessageBytesMax) {
      is_too_long = true;
      line.clear();
    }
    if (has_end) break;
    HADAL_ASSIGN(const bool has_more, fill());
    if (has_more) continue;
    if (line.empty() && !is_too_long) return std::optional<std::string>();
    break;
  }
  if (is_too_long) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "line is too long",
                 .in = "standard input",
                 .want = fmt::format("at most {}", format_bytes(kMessageBytesMax)),
                 .found = "more",
                 .hint = ""};
  }
  if (line.ends_with('\r')) line.pop_back();
  return std::optional(std::move(line));
}

Result<bool> PlainLines::fill() {
  char bytes[1 << 14];
  ssize_t n = 0;
  do {
    n = ::read(fd_, bytes, sizeof bytes);
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    return Error{.code = ErrorCode::kIo,
                 .what = "cannot read",
                 .in = "standard input",
                 .want = "",
                 .found = std::strerror(errno),
                 .hint = ""};
  }
  buffer_.append(bytes, static_cast<size_t>(n));
  return n > 0;
}

}  // namespace hadal
