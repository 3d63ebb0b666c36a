#include "prompt/dsml_arguments.h"

#include <fmt/format.h>

#include <utility>

#include "base/json.h"
#include "base/utf8.h"

namespace hadal::dsml {
namespace {

// In messages; the rest of a long key is cut off.
constexpr size_t kShownBytesMax = 80;

Error broken(std::string_view key, std::string_view why) {
  return Error{.code = ErrorCode::kInvalid,
               .what = fmt::format("parameter {} {}", json::quote(utf8::front(key, kShownBytesMax)), why),
               .in = "",
               .want = "",
               .found = "",
               .hint = ""};
}

void append_escaped(std::string& out, std::string_view text) {
  const std::string literal = json::quote(text);
  out.append(literal, 1, literal.size() - 2);
}

}  // namespace

void Arguments::open(std::string_view key, bool is_string) {
  text_ += text_.empty() ? "{" : ", ";
  text_ += json::quote(key);
  text_ += is_string ? ": \"" : ": ";
}

Result<void> Arguments::begin_parameter(std::string_view key, bool is_string, bool may_wrap) {
  release_wrapper();
  if (!keys_.emplace(key).second) return broken(key, "comes twice");
  parameter_ = {
      .key = std::string(key), .value = {}, .is_string = is_string, .may_wrap = may_wrap && keys_.size() == 1};
  if (!parameter_.may_wrap) open(key, is_string);
  return {};
}

void Arguments::append(std::string_view text) {
  if (parameter_.is_string && !parameter_.may_wrap) {
    append_escaped(text_, text);
  } else {
    parameter_.value += text;
  }
}

Result<void> Arguments::end_parameter() {
  if (!parameter_.is_string && !json::parse(parameter_.value, "value").ok()) {
    return broken(parameter_.key, "is neither a string nor JSON");
  }
  if (parameter_.may_wrap) return {};
  text_ += parameter_.is_string ? "\"" : parameter_.value;
  return {};
}

void Arguments::release_wrapper() {
  if (!parameter_.may_wrap) return;
  parameter_.may_wrap = false;
  open(parameter_.key, parameter_.is_string);
  if (parameter_.is_string) {
    append_escaped(text_, parameter_.value);
    text_ += '"';
  } else {
    text_ += parameter_.value;
  }
}

void Arguments::finish() {
  if (parameter_.may_wrap) {
    if (const Result<json::Value> whole = json::parse(parameter_.value, "arguments");
        whole.ok() && whole->is_object()) {
      text_ = std::move(parameter_.value);
      return;
    }
    release_wrapper();
  }
  text_ += text_.empty() ? "{}" : "}";
}

std::string Arguments::take_delta() {
  std::string delta = text_.substr(taken_bytes_);
  taken_bytes_ = text_.size();
  return delta;
}

}  // namespace hadal::dsml
