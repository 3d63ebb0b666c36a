// Reading a GGUF header from front to back: every read knows how much is left, and every error says at which byte.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/result.h"

namespace hadal {

class GgufCursor {
 public:
  GgufCursor(std::span<const std::byte> bytes, std::string_view file) : bytes_(bytes), file_(file) {}

  uint64_t at() const { return at_; }
  uint64_t left() const { return bytes_.size() - at_; }
  std::span<const std::byte> since(uint64_t begin) const { return bytes_.subspan(begin, at_ - begin); }

  // "model.gguf, byte 24: \"general.name\""
  std::string place(uint64_t byte, std::string_view of) const {
    return of.empty() ? fmt::format("{}, byte {}", file_, byte) : fmt::format("{}, byte {}: {}", file_, byte, of);
  }
  Error refused(ErrorCode code, std::string what, uint64_t byte, std::string_view of, std::string want,
                std::string found, std::string hint = "") const {
    return Error{.code = code,
                 .what = std::move(what),
                 .in = place(byte, of),
                 .want = std::move(want),
                 .found = std::move(found),
                 .hint = std::move(hint)};
  }

  // `of` is what is being read, for the message.
  template <class Number>
  Result<Number> number(std::string_view of) {
    Number value;
    if (left() < sizeof value) return cut(sizeof value, of);
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }

  Result<std::string_view> string(std::string_view of, uint64_t bytes_max) {
    const uint64_t begin = at_;
    HADAL_ASSIGN(const uint64_t length, number<uint64_t>(of));
    if (length > left()) return cut(length, of);
    if (length > bytes_max) {
      return refused(ErrorCode::kLimit, "string is too long", begin, of, fmt::format("at most {} bytes", bytes_max),
                     fmt::format("{} bytes", length));
    }
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data() + at_), length);
    at_ += length;
    return text;
  }

  Result<void> skip(uint64_t n, std::string_view of) {
    if (n > left()) return cut(n, of);
    at_ += n;
    return {};
  }

  Error cut(uint64_t wanted, std::string_view of) const {
    return refused(ErrorCode::kCorrupt, "file ends too early", at_, of, fmt::format("{} bytes", wanted),
                   fmt::format("{} left in the file", left()), "a download may have been cut off");
  }

 private:
  std::span<const std::byte> bytes_;
  std::string_view file_;
  uint64_t at_ = 0;
};

}  // namespace hadal
