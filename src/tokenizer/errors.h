// Errors of the tokenizer's parts, with every field given once. Places are JSON paths; Tokenizer::parse adds the file.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "base/utf8.h"

namespace hadal::tokenizer {

inline Error make_error(ErrorCode code, std::string what, std::string in, std::string want, std::string found,
                        std::string hint = "") {
  return Error{.code = code,
               .what = std::move(what),
               .in = std::move(in),
               .want = std::move(want),
               .found = std::move(found),
               .hint = std::move(hint)};
}

// Text from the file as a message may show it: quoted, at most 80 bytes.
inline std::string quoted(std::string_view text) {
  constexpr size_t kShownBytesMax = 80;
  const std::string_view front = utf8::front(text, kShownBytesMax);
  return json::quote(front) + (front.size() < text.size() ? "..." : "");
}

}  // namespace hadal::tokenizer
