#include "server/api/api_error.h"

#include <fmt/format.h>

namespace hadal::api {
namespace {

using json::Value;

Value string_or_null(const std::string& text) {
  return text.empty() ? Value() : Value::string(text);
}

std::string_view anthropic_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    default:
      return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

// "what: want X, found Y (hint)" in one line.
std::string one_line(const Error& error) {
  std::string text = error.what;
  if (!error.want.empty()) text += fmt::format("; expected {}", error.want);
  if (!error.found.empty()) text += fmt::format(", found {}", error.found);
  if (!error.hint.empty()) text += fmt::format(" ({})", error.hint);
  return text;
}

}  // namespace

ApiError invalid_value(std::string param, std::string message) {
  return {.status = 400, .code = "invalid_value", .param = std::move(param), .message = std::move(message)};
}
ApiError unsupported_parameter(std::string param, std::string message) {
  return {.status = 400, .code = "unsupported_parameter", .param = std::move(param), .message = std::move(message)};
}
ApiError missing_parameter(std::string param) {
  ApiError error{.status = 400, .code = "missing_required_parameter", .param = std::move(param), .message = ""};
  error.message = fmt::format("'{}' is required", error.param);
  return error;
}

ApiError of_error(const Error& error) {
  const std::string message = error.in.empty() ? one_line(error) : fmt::format("{}: {}", error.in, one_line(error));
  switch (error.code) {
    case ErrorCode::kInvalid:
    case ErrorCode::kUnsupported:
    case ErrorCode::kNotFound:
    case ErrorCode::kLimit:
      return {.status = 400, .code = "invalid_value", .param = error.in, .message = message};
    case ErrorCode::kOutOfMemory:
      return {.status = 400, .code = "context_length_exceeded", .param = error.in, .message = message};
    case ErrorCode::kCancelled:
      return {.status = 503, .type = "server_error", .code = "shutting_down", .message = message, .retry_after_s = 5};
    case ErrorCode::kCorrupt:
    case ErrorCode::kIo:
      break;
  }
  return {
      .status = 500, .type = "server_error", .code = "internal_error", .message = "the engine stopped this request"};
}

Value openai_error(const ApiError& error) {
  Value inner = Value::object();
  inner.set("message", Value::string(error.message))
      .set("type", Value::string(error.type))
      .set("param", string_or_null(error.param))
      .set("code", string_or_null(error.code));
  return Value::object({{"error", std::move(inner)}});
}

Value anthropic_error(const ApiError& error, std::string_view request_id) {
  Value inner = Value::object();
  inner.set("type", Value::string(anthropic_type(error.status))).set("message", Value::string(error.message));
  Value body = Value::object();
  body.set("type", Value::string("error")).set("error", std::move(inner)).set("request_id", Value::string(request_id));
  return body;
}

Value ollama_error(const ApiError& error) {
  return Value::object({{"error", Value::string(error.message)}});
}

}  // namespace hadal::api
