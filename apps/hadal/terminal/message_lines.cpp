#include "terminal/message_lines.h"

#include <fmt/format.h>

#include <utility>

#include "base/format.h"

namespace hadal {
namespace {

constexpr std::string_view kFence = "\"\"\"";

// An odd number of backslashes at the end.
bool is_continued(std::string_view line) {
  const size_t last = line.find_last_not_of('\\');
  const size_t n_backslashes = last == std::string_view::npos ? line.size() : line.size() - last - 1;
  return n_backslashes % 2 == 1;
}

}  // namespace

Result<bool> MessageLines::push(std::string_view line) {
  if (text_.size() + line.size() + 1 > kMessageBytesMax) {
    take();
    return Error{.code = ErrorCode::kLimit,
                 .what = "message is too long",
                 .in = "input",
                 .want = fmt::format("at most {}", format_bytes(kMessageBytesMax)),
                 .found = "more",
                 .hint = ""};
  }
  if (state_ == State::kBlock) {
    text_ += '\n';
    return push_block_line(line);
  }
  if (state_ == State::kEmpty && line.starts_with(kFence)) {
    state_ = State::kBlock;
    line.remove_prefix(kFence.size());
    return push_block_line(line);
  }
  if (state_ == State::kContinued) text_ += '\n';
  const bool is_open = is_continued(line);
  text_ += is_open ? line.substr(0, line.size() - 1) : line;
  state_ = is_open ? State::kContinued : State::kEmpty;
  return !is_open;
}

bool MessageLines::push_block_line(std::string_view line) {
  const bool is_last = line.ends_with(kFence);
  if (is_last) line.remove_suffix(kFence.size());
  text_ += line;
  if (!is_last) return false;
  // The fences may stand on lines of their own: their line ends are not part of the message.
  if (text_.starts_with('\n')) text_.erase(0, 1);
  if (text_.ends_with('\n')) text_.pop_back();
  state_ = State::kEmpty;
  return true;
}

std::string MessageLines::take() {
  state_ = State::kEmpty;
  return std::exchange(text_, {});
}

}  // namespace hadal
