#include "base/result.h"

namespace hadal {

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kCorrupt:
      return "corrupt";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kLimit:
      return "limit";
    case ErrorCode::kOutOfMemory:
      return "out of memory";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kInvalid:
      return "invalid";
  }
  return "unknown";
}

Error& Error::within(std::string_view place) {
  in = in.empty() ? std::string(place) : std::string(place) + ": " + in;
  return *this;
}

std::string Error::to_string() const {
  std::string text = "error: " + what;
  const auto add = [&text](std::string_view label, const std::string& value) {
    if (!value.empty()) text.append("\n  ").append(label).append(value);
  };
  add("in     ", in);
  add("want   ", want);
  add("found  ", found);
  add("hint   ", hint);
  return text;
}

}  // namespace hadal
