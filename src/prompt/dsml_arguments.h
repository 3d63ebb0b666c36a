// The arguments of one tool call as JSON text, written while its parameters arrive.
//
//   {"KEY": value, ...}   value = the text as a JSON string (string="true"), or the text itself (string="false")
//
// Source: decode_dsml_to_arguments of encoding/encoding_dsv4.py, which does not look at the values; here a value that
// is no JSON, and a key that comes twice, are errors.
//
// Models sometimes wrap all arguments into one parameter named `arguments` or `input`. A parameter that may be such a
// wrapper is held back: when it is the only one and its text is a JSON object, that object is the arguments.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>

#include "base/result.h"

namespace hadal::dsml {

class Arguments {
 public:
  // may_wrap: this key is a wrapper's name and no parameter of the tool. Invalid when the key is there already.
  Result<void> begin_parameter(std::string_view key, bool is_string, bool may_wrap);
  // More of the value: valid UTF-8.
  void append(std::string_view text);
  // Invalid when a value with string="false" is no JSON.
  Result<void> end_parameter();
  void finish();

  // The text so far. Never shrinks or changes; complete JSON after finish().
  const std::string& text() const { return text_; }
  // What was added to it since the last call.
  std::string take_delta();

 private:
  // The parameter that is read now, or that is held back because it may be a wrapper.
  struct Parameter {
    std::string key;
    std::string value;
    bool is_string = false;
    bool may_wrap = false;
  };

  void open(std::string_view key, bool is_string);
  void release_wrapper();

  std::string text_;
  size_t taken_bytes_ = 0;
  std::unordered_set<std::string> keys_;
  Parameter parameter_;
};

}  // namespace hadal::dsml
