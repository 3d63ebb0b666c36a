// Result<T>: a value, or an Error that says where, what was expected, what was found and what to do about it.
//
// Three kinds of trouble are never mixed (CONTRIBUTING.md, "Errors"): someone else's mistake is an Error in a Result;
// our own mistake is HADAL_CHECK (base/check.h); "nothing there" is an ordinary value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace hadal {

enum class ErrorCode { kNotFound, kCorrupt, kUnsupported, kLimit, kOutOfMemory, kCancelled, kIo, kInvalid };

// "corrupt", "not found", ... as programs see it in --json.
std::string_view error_code_name(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInvalid;
  std::string what;   // one sentence without a full stop: "weight has the wrong shape"
  std::string in;     // place: file and byte offset, tensor, JSON path, layer
  std::string want;   // what was expected; may be empty
  std::string found;  // what is there; may be empty
  std::string hint;   // what to do; may be empty

  // Adds an outer place in front of `in` ("model.safetensors" + "tensor x" -> "model.safetensors: tensor x").
  Error& within(std::string_view place);

  // The form that people see, without a trailing line feed:
  //   error: weight has the wrong shape
  //     in     model-00017-of-00046.safetensors, byte 4096: "layers.3.attn.wkv.weight"
  //     want   [512, 4096]
  //     found  [576, 4096]
  //     hint   ...
  std::string to_string() const;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // The value; the caller has looked at ok().
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // The error; the caller has looked at ok().
  Error& error() & { return std::get<1>(state_); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  Error& error() & { return *error_; }
  const Error& error() const& { return *error_; }
  Error&& error() && { return std::move(*error_); }

 private:
  std::optional<Error> error_;
};

// HADAL_TRY(expr): leaves the function with expr's error, if it has one.
#define HADAL_TRY(expr)                                           \
  do {                                                            \
    if (auto hadal_try_result = (expr); !hadal_try_result.ok()) { \
      return std::move(hadal_try_result).error();                 \
    }                                                             \
  } while (false)

#define HADAL_CONCAT_INNER(a, b) a##b
#define HADAL_CONCAT(a, b) HADAL_CONCAT_INNER(a, b)

// HADAL_ASSIGN(auto x, expr): x becomes expr's value, or the function is left with its error.
#define HADAL_ASSIGN(declaration, expr) HADAL_ASSIGN_INNER(HADAL_CONCAT(hadal_result_, __LINE__), declaration, expr)
#define HADAL_ASSIGN_INNER(name, declaration, expr) \
  auto name = (expr);                               \
  if (!name.ok()) return std::move(name).error();   \
  declaration = std::move(name).value()

}  // namespace hadal
