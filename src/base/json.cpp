#include "base/json.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_set>

#include "base/check.h"
#include "base/utf8.h"

namespace hadal::json {

Value Value::boolean(bool v) {
  Value value;
  value.kind_ = Kind::kBool;
  value.bool_ = v;
  return value;
}

Value Value::number(int64_t v) {
  return number_text(fmt::format("{}", v));
}

Value Value::number(double v) {
  if (!std::isfinite(v)) return {};
  return number_text(fmt::format("{}", v));
}

Value Value::number_text(std::string_view text) {
  Value value;
  value.kind_ = Kind::kNumber;
  value.text_ = text;
  return value;
}

Value Value::string(std::string_view v) {
  Value value;
  value.kind_ = Kind::kString;
  value.text_ = v;
  return value;
}

Value Value::array(Array items) {
  Value value;
  value.kind_ = Kind::kArray;
  value.items_ = std::move(items);
  return value;
}

Value Value::object(Object members) {
  Value value;
  value.kind_ = Kind::kObject;
  value.members_ = std::move(members);
  return value;
}

std::optional<int64_t> Value::as_int() const {
  if (!is_number()) return std::nullopt;
  int64_t integer = 0;
  const char* end = text_.data() + text_.size();
  if (auto [stop, ec] = std::from_chars(text_.data(), end, integer); ec == std::errc() && stop == end) return integer;
  const std::optional<double> v = as_double();
  // 2^53: beyond it a double no longer names one integer.
  if (!v || *v != std::floor(*v) || std::abs(*v) > 9007199254740992.0) return std::nullopt;
  return static_cast<int64_t>(*v);
}

std::optional<double> Value::as_double() const {
  if (!is_number()) return std::nullopt;
  double v = 0;
  const char* end = text_.data() + text_.size();
  auto [stop, ec] = std::from_chars(text_.data(), end, v);
  if (ec != std::errc() || stop != end) return std::nullopt;
  return v;
}

const Value* Value::find(std::string_view key) const {
  for (const auto& [name, value] : members_) {
    if (name == key) return &value;
  }
  return nullptr;
}

Value& Value::set(std::string_view key, Value v) {
  HADAL_CHECK(is_object(), "set on", kind_name(kind_));
  for (auto& [name, value] : members_) {
    if (name == key) {
      value = std::move(v);
      return *this;
    }
  }
  members_.emplace_back(std::string(key), std::move(v));
  return *this;
}

Value& Value::push(Value v) {
  HADAL_CHECK(is_array(), "push on", kind_name(kind_));
  items_.push_back(std::move(v));
  return *this;
}

std::string_view kind_name(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::kNull:
      return "null";
    case Value::Kind::kBool:
      return "boolean";
    case Value::Kind::kNumber:
      return "number";
    case Value::Kind::kString:
      return "string";
    case Value::Kind::kArray:
      return "array";
    case Value::Kind::kObject:
      return "object";
  }
  return "unknown";
}

namespace {

using simdjson::ondemand::json_type;

// Builds Values from simdjson's On-Demand cursor, which validates as it goes.
class Builder {
 public:
  Builder(std::string_view name, const ParseLimits& limits) : name_(name), limits_(limits) {}

  template <class Source>
  Result<Value> build(Source&& source, int depth) {
    if (depth > limits_.depth_max) return beyond("JSON is nested too deeply", "levels", limits_.depth_max);
    if (++n_values_ > limits_.values_max) return beyond("JSON has too many values", "values", limits_.values_max);
    json_type type{};
    if (auto error = source.type().get(type)) return failed(error);
    if (type == json_type::array) return array(source, depth);
    if (type == json_type::object) return object(source, depth);
    // Of a value without parts the beginning is the place; the cursor is behind it when it turns out to be wrong.
    HADAL_ASSIGN(const std::string_view token, raw_token(source));
    Result<Value> value = scalar(source, type, token);
    if (!value.ok()) failed_at_ = token.data();
    return value;
  }

  // Where the failure lies, if that is known better than by the cursor.
  const char* failed_at() const { return failed_at_; }

  Error failed(simdjson::error_code error) const {
    return Error{.code = ErrorCode::kCorrupt,
                 .what = "not valid JSON",
                 .in = name_,
                 .want = "",
                 .found = simdjson::error_message(error),
                 .hint = ""};
  }

 private:
  template <class Limit>
  Error beyond(std::string_view what, std::string_view unit, Limit limit) const {
    return Error{.code = ErrorCode::kLimit,
                 .what = std::string(what),
                 .in = name_,
                 .want = fmt::format("at most {} {}", limit, unit),
                 .found = "more",
                 .hint = ""};
  }

  // The text of a value up to the next one. A document gives it as a result, a value inside of it as it is.
  template <class Source>
  Result<std::string_view> raw_token(Source& source) {
    std::string_view token;
    if constexpr (requires { source.raw_json_token().get(token); }) {
      if (auto error = source.raw_json_token().get(token)) return failed(error);
      return token;
    } else {
      return source.raw_json_token();
    }
  }

  template <class Source>
  Result<Value> scalar(Source& source, json_type type, std::string_view token) {
    switch (type) {
      case json_type::null: {
        bool is_null = false;
        if (auto error = simdjson::simdjson_result<bool>(source.is_null()).get(is_null)) return failed(error);
        if (!is_null) return failed(simdjson::INCORRECT_TYPE);
        return Value();
      }
      case json_type::boolean: {
        bool v = false;
        if (auto error = source.get_bool().get(v)) return failed(error);
        return Value::boolean(v);
      }
      case json_type::number:
        return number(source, token);
      case json_type::string: {
        std::string_view v;
        if (auto error = source.get_string().get(v)) return failed(error);
        return Value::string(v);
      }
      default:
        return failed(simdjson::TAPE_ERROR);
    }
  }

  template <class Source>
  Result<Value> number(Source& source, std::string_view token) {
    // Big integers do not fit simdjson's numbers: the text decides, checked against JSON's number grammar.
    while (!token.empty() &&
           (token.back() == ' ' || token.back() == '\n' || token.back() == '\r' || token.back() == '\t')) {
      token.remove_suffix(1);
    }
    if (!is_number(token)) return failed(simdjson::NUMBER_ERROR);
    // Consume the value: an integer beyond 64 bits is an error of get_double only when it is no number at all.
    double ignored = 0;
    if (auto error = source.get_double().get(ignored); error && error != simdjson::NUMBER_ERROR) return failed(error);
    if (!std::isfinite(ignored)) return failed(simdjson::NUMBER_ERROR);
    return Value::number_text(token);
  }

  static bool is_number(std::string_view t) {
    size_t i = 0;
    const auto digits = [&] {
      const size_t begin = i;
      while (i < t.size() && t[i] >= '0' && t[i] <= '9') ++i;
      return i - begin;
    };
    if (i < t.size() && t[i] == '-') ++i;
    const size_t first = i;
    const size_t n = digits();
    if (n == 0 || (n > 1 && t[first] == '0')) return false;
    if (i < t.size() && t[i] == '.') {
      ++i;
      if (digits() == 0) return false;
    }
    if (i < t.size() && (t[i] == 'e' || t[i] == 'E')) {
      ++i;
      if (i < t.size() && (t[i] == '+' || t[i] == '-')) ++i;
      if (digits() == 0) return false;
    }
    return i == t.size();
  }

  template <class Source>
  Result<Value> array(Source& source, int depth) {
    simdjson::ondemand::array elements;
    if (auto error = source.get_array().get(elements)) return failed(error);
    Array items;
    for (auto element : elements) {
      simdjson::ondemand::value v;
      if (auto error = element.get(v)) return failed(error);
      HADAL_ASSIGN(Value item, build(v, depth + 1));
      items.push_back(std::move(item));
    }
    return Value::array(std::move(items));
  }

  template <class Source>
  Result<Value> object(Source& source, int depth) {
    simdjson::ondemand::object fields;
    if (auto error = source.get_object().get(fields)) return failed(error);
    Object members;
    std::unordered_set<std::string> keys;
    for (auto field : fields) {
      std::string_view key;
      if (auto error = field.unescaped_key().get(key)) return failed(error);
      std::string name(key);
      if (!keys.insert(name).second) {
        return Error{.code = ErrorCode::kCorrupt,
                     .what = "JSON object has a key twice",
                     .in = name_,
                     .want = "each key once",
                     .found = quote(name.substr(0, 200)),
                     .hint = ""};
      }
      simdjson::ondemand::value v;
      if (auto error = field.value().get(v)) return failed(error);
      HADAL_ASSIGN(Value member, build(v, depth + 1));
      members.emplace_back(std::move(name), std::move(member));
    }
    return Value::object(std::move(members));
  }

  std::string name_;
  ParseLimits limits_;
  size_t n_values_ = 0;
  const char* failed_at_ = nullptr;
};

// Where a text is wrong that simdjson refuses before it has a cursor: at a byte that is not UTF-8, at a control
// character inside a string, or where a string begins that never ends.
size_t lexical_error_at(std::string_view text) {
  std::optional<size_t> string_begin;
  bool is_escaped = false;
  for (size_t at = 0; at < text.size();) {
    const utf8::Decoded decoded = utf8::decode(text.substr(at));
    const char c = text[at];
    if (!decoded.valid || (string_begin && static_cast<unsigned char>(c) < 0x20)) return at;
    if (c == '"' && !is_escaped) string_begin = string_begin ? std::nullopt : std::optional(at);
    is_escaped = string_begin && c == '\\' && !is_escaped;
    at += static_cast<size_t>(decoded.length);
  }
  return string_begin.value_or(text.size());
}

bool is_lexical(simdjson::error_code error) {
  return error == simdjson::UTF8_ERROR || error == simdjson::UNCLOSED_STRING || error == simdjson::UNESCAPED_CHARS;
}

Error out_of_memory(std::string_view name, size_t bytes) {
  return Error{.code = ErrorCode::kOutOfMemory,
               .what = "not enough memory to read JSON",
               .in = std::string(name),
               .want = fmt::format("memory for {} bytes of text", bytes),
               .found = "the system refused",
               .hint = ""};
}

}  // namespace

Result<Value> parse(std::string_view text, std::string_view name, ParseLimits limits) {
  if (text.size() > limits.bytes_max) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "JSON text is too long",
                 .in = std::string(name),
                 .want = fmt::format("at most {} bytes", limits.bytes_max),
                 .found = fmt::format("{} bytes", text.size()),
                 .hint = ""};
  }
  simdjson::padded_string padded(text);
  simdjson::ondemand::parser parser;
  if (padded.data() == nullptr) return out_of_memory(name, text.size());
  Builder builder(name, limits);
  simdjson::ondemand::document document;
  if (auto error = parser.iterate(padded).get(document)) {
    if (error == simdjson::MEMALLOC) return out_of_memory(name, text.size());
    Error failed = builder.failed(error);
    if (is_lexical(error)) failed.in += fmt::format(", byte {}", lexical_error_at(text));
    return failed;
  }
  Result<Value> value = builder.build(document, 1);
  if (!value.ok()) {
    if (value.error().code != ErrorCode::kCorrupt) return value;
    const char* location = builder.failed_at();
    if (location != nullptr) {
      value.error().in += fmt::format(", byte {}", location - padded.data());
    } else if (value.error().found == simdjson::error_message(simdjson::INCOMPLETE_ARRAY_OR_OBJECT)) {
      value.error().in += fmt::format(", byte {}", text.size());
    } else if (!document.current_location().get(location)) {
      value.error().in += fmt::format(", about byte {}", location - padded.data());
    }
    return value;
  }
  // Once everything is consumed, the cursor has no location.
  if (const char* rest = nullptr; !document.current_location().get(rest)) {
    return Error{.code = ErrorCode::kCorrupt,
                 .what = "not valid JSON",
                 .in = fmt::format("{}, byte {}", name, rest - padded.data()),
                 .want = "the end of the text",
                 .found = "more text behind the value",
                 .hint = ""};
  }
  return value;
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
  return out;
}

namespace {

constexpr size_t kExcerptBytes = 200;

// DEL and the C1 control characters, which quote() leaves as they are.
std::string without_controls(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const utf8::Decoded d = utf8::decode(text);
    if (d.code_point >= 0x7F && d.code_point <= 0x9F) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(d.code_point));
    } else {
      utf8::append(out, d.code_point);
    }
    text.remove_prefix(static_cast<size_t>(d.length));
  }
  return out;
}

}  // namespace

std::string excerpt(const Value& value) {
  return without_controls(utf8::front(dump(value), kExcerptBytes));
}

std::string excerpt(std::string_view name) {
  return without_controls(quote(utf8::front(name, kExcerptBytes)));
}

namespace {

// Python's repr of the number that this text denotes: integers verbatim, floats shortest, with ".0" or e-notation from
// 1e16 on and below 1e-4.
std::string python_number(const std::string& text) {
  if (text.find_first_of(".eE") == std::string::npos) return text == "-0" ? "0" : text;
  double v = 0;
  auto [stop, ec] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (ec == std::errc::result_out_of_range) {
    const bool negative = text.front() == '-';
    const size_t e = text.find_first_of("eE");
    const bool tiny = e != std::string::npos && e + 1 < text.size() && text[e + 1] == '-';
    if (tiny) return negative ? "-0.0" : "0.0";
    return negative ? "-Infinity" : "Infinity";
  }
  (void)stop;
  if (v == 0) return std::signbit(v) ? "-0.0" : "0.0";
  // The shortest digits and the decimal exponent, then laid out by Python's rule.
  char shortest[64];
  const auto written = std::to_chars(shortest, shortest + sizeof shortest, v, std::chars_format::scientific);
  const std::string_view scientific(shortest, static_cast<size_t>(written.ptr - shortest));
  const size_t e = scientific.find('e');
  std::string mantissa;
  bool negative = false;
  for (const char c : scientific.substr(0, e)) {
    if (c == '-') {
      negative = true;
    } else if (c != '.') {
      mantissa += c;
    }
  }
  int exponent = 0;
  const std::string_view exponent_text = scientific.substr(e + 1 + (scientific[e + 1] == '+' ? 1 : 0));
  std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
  std::string out = negative ? "-" : "";
  const int n = static_cast<int>(mantissa.size());
  if (exponent >= -4 && exponent < 16) {
    if (exponent < 0) {
      out += "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + mantissa;
    } else if (exponent + 1 >= n) {
      out += mantissa + std::string(static_cast<size_t>(exponent + 1 - n), '0') + ".0";
    } else {
      out += mantissa.substr(0, static_cast<size_t>(exponent) + 1) + "." +
             mantissa.substr(static_cast<size_t>(exponent) + 1);
    }
    return out;
  }
  out += mantissa.substr(0, 1);
  if (n > 1) out += "." + mantissa.substr(1);
  out += fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  return out;
}

struct Style {
  std::string_view item_separator;
  std::string_view key_separator;
  bool is_python = false;
  bool is_pretty = false;
};

void write(std::string& out, const Value& value, const Style& style, int depth);

void write_separator(std::string& out, const Style& style, bool first, int depth) {
  if (!first) out += style.item_separator;
  if (style.is_pretty) out.append("\n").append(static_cast<size_t>(depth) * 2, ' ');
}

void write_array(std::string& out, const Array& items, const Style& style, int depth) {
  out += '[';
  bool first = true;
  for (const Value& item : items) {
    write_separator(out, style, first, depth + 1);
    write(out, item, style, depth + 1);
    first = false;
  }
  if (style.is_pretty && !first) out.append("\n").append(static_cast<size_t>(depth) * 2, ' ');
  out += ']';
}

void write_object(std::string& out, const Object& members, const Style& style, int depth) {
  out += '{';
  bool first = true;
  for (const auto& [key, member] : members) {
    write_separator(out, style, first, depth + 1);
    out += quote(key);
    out += style.key_separator;
    write(out, member, style, depth + 1);
    first = false;
  }
  if (style.is_pretty && !first) out.append("\n").append(static_cast<size_t>(depth) * 2, ' ');
  out += '}';
}

void write(std::string& out, const Value& value, const Style& style, int depth) {
  switch (value.kind()) {
    case Value::Kind::kNull:
      out += "null";
      break;
    case Value::Kind::kBool:
      out += value.as_bool() ? "true" : "false";
      break;
    case Value::Kind::kNumber:
      out += style.is_python ? python_number(value.number_as_text()) : value.number_as_text();
      break;
    case Value::Kind::kString:
      out += quote(value.as_string());
      break;
    case Value::Kind::kArray:
      write_array(out, value.items(), style, depth);
      break;
    case Value::Kind::kObject:
      write_object(out, value.members(), style, depth);
      break;
  }
}

std::string dump_as(const Value& value, const Style& style) {
  std::string out;
  write(out, value, style, 0);
  return out;
}

}  // namespace

std::string dump(const Value& value) {
  return dump_as(value, {.item_separator = ",", .key_separator = ":"});
}

std::string dump_pretty(const Value& value) {
  return dump_as(value, {.item_separator = ",", .key_separator = ": ", .is_pretty = true});
}

std::string dump_python(const Value& value) {
  return dump_as(value, {.item_separator = ", ", .key_separator = ": ", .is_python = true});
}

}  // namespace hadal::json
