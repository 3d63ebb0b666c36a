// JSON values: parsed by simdjson, kept with key order and the text of their numbers, written in two forms.
//
// Prompts and tool schemas must come out byte for byte as Python's json.dumps writes them (prompt-encoding of the
// release), so a number keeps the text it came with until a writer asks for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hadal::json {

class Value;
using Array = std::vector<Value>;
using Member = std::pair<std::string, Value>;
using Object = std::vector<Member>;  // in the order of the text; keys are unique

class Value {
 public:
  enum class Kind { kNull, kBool, kNumber, kString, kArray, kObject };

  Value() = default;  // null
  static Value boolean(bool v);
  static Value number(int64_t v);
  static Value number(double v);                    // shortest text that reads back as v; not finite: null
  static Value number_text(std::string_view text);  // text must be a JSON number
  static Value string(std::string_view v);
  static Value array(Array items = {});
  static Value object(Object members = {});

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_bool() const { return kind_ == Kind::kBool; }
  bool is_number() const { return kind_ == Kind::kNumber; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_array() const { return kind_ == Kind::kArray; }
  bool is_object() const { return kind_ == Kind::kObject; }

  // The content; empty or zero when the kind is another.
  bool as_bool() const { return bool_; }
  const std::string& as_string() const { return text_; }
  const std::string& number_as_text() const { return text_; }
  const Array& items() const { return items_; }
  const Object& members() const { return members_; }
  Array& items() { return items_; }
  Object& members() { return members_; }

  // A number that is an integer in range (1.0 and 1e3 count as integers), or nothing.
  std::optional<int64_t> as_int() const;
  std::optional<double> as_double() const;

  // The member with that key, or null when there is none or this is no object. O(members).
  const Value* find(std::string_view key) const;

  // Builders. Both check the kind.
  Value& set(std::string_view key, Value v);  // replaces a member of that name
  Value& push(Value v);

  friend bool operator==(const Value&, const Value&) = default;

 private:
  Kind kind_ = Kind::kNull;
  bool bool_ = false;
  std::string text_;  // of a string, or the digits of a number
  Array items_;
  Object members_;
};

// "null", "boolean", "number", ... for messages.
std::string_view kind_name(Value::Kind kind);

struct ParseLimits {
  size_t bytes_max = size_t{1} << 30;
  int depth_max = 64;
  size_t values_max = size_t{16} << 20;  // each takes about 100 bytes: fifty times the text of "[0,0,0,...]"
};

// Parses one JSON text. Corrupt with the byte offset when it is not JSON, not UTF-8, has a duplicate key or anything
// behind the value; Limit when it is too long, too deep or has too
// many values. `name` is the place for messages.
Result<Value> parse(std::string_view text, std::string_view name, ParseLimits limits = {});

// {"a":1,"b":[true,null]}
std::string dump(const Value& value);
// The same with line feeds and two spaces a level, for people.
std::string dump_pretty(const Value& value);
// {"a": 1, "b": [true, null]} as Python's json.dumps(v, ensure_ascii=False): floats as Python's repr.
std::string dump_python(const Value& value);
// A JSON string literal with its quotes; only ", \ and U+0000..U+001F are escaped.
std::string quote(std::string_view text);

// What a message shows of a stranger's value, or in quotes of a stranger's name: at most 200 bytes of it, and nothing
// that a terminal takes for a command (U+007F..U+009F are escaped as well).
std::string excerpt(const Value& value);
std::string excerpt(std::string_view name);

}  // namespace hadal::json
