// An error as a client sees it: status, type, code and parameter; each API has its own form for it.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace hadal::api {

struct ApiError {
  int status = 400;
  std::string type = "invalid_request_error";
  std::string code = {};   // empty: null
  std::string param = {};  // empty: null
  std::string message = {};
  double retry_after_s = 0;  // > 0: the header of that name
};

ApiError invalid_value(std::string param, std::string message);
ApiError unsupported_parameter(std::string param, std::string message);
ApiError missing_parameter(std::string param);
// An error of the layers below, found while a request was prepared or run: Invalid, Limit, Unsupported, NotFound are
// the client's (400); Cancelled is 503; the others are ours (500), and their text stays here.
ApiError of_error(const Error& error);

// A Result with ApiError instead of Error.
template <class T>
class ApiResult {
 public:
  ApiResult(T value) : value_(std::move(value)), is_ok_(true) {}
  ApiResult(ApiError error) : error_(std::move(error)) {}
  bool ok() const { return is_ok_; }
  T& value() & { return value_; }
  T&& value() && { return std::move(value_); }
  T* operator->() { return &value_; }
  T& operator*() { return value_; }
  const ApiError& error() const { return error_; }

 private:
  T value_ = {};
  ApiError error_;
  bool is_ok_ = false;
};

#define HADAL_API_ASSIGN(declaration, expr) \
  HADAL_API_ASSIGN_INNER(HADAL_CONCAT(hadal_api_result_, __LINE__), declaration, expr)
#define HADAL_API_ASSIGN_INNER(name, declaration, expr) \
  auto name = (expr);                                   \
  if (!name.ok()) return name.error();                  \
  declaration = std::move(name).value()

// {"error":{"message","type","param","code"}}
json::Value openai_error(const ApiError& error);
// {"type":"error","error":{"type","message"},"request_id"}
json::Value anthropic_error(const ApiError& error, std::string_view request_id);
// {"error":"message"}
json::Value ollama_error(const ApiError& error);

}  // namespace hadal::api
