#include "terminal/output.h"

#include <cerrno>
#include <cstring>

namespace hadal {

Result<void> write_output(std::FILE* stream, std::string_view text) {
  // An empty view may hold a null pointer, which fwrite must not get.
  if (text.empty()) text = "";
  if (std::fwrite(text.data(), 1, text.size(), stream) == text.size() && std::fflush(stream) == 0) return {};
  return Error{.code = ErrorCode::kIo,
               .what = "the output could not be written",
               .in = stream == stdout ? "standard output" : "output",
               .want = "room for all of it",
               .found = std::strerror(errno),
               .hint = ""};
}

void write_notice(std::string_view text) {
  if (text.empty()) return;
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace hadal
