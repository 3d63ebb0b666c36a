#include "server/api/fields.h"

#include <fmt/format.h>

namespace hadal::api {

using json::Value;

const Value* Fields::find(std::string_view name) const {
  const Value* value = object_->find(name);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

ApiError Fields::wrong_kind(std::string_view name, std::string_view want) const {
  const Value* value = find(name);
  ApiError error{.status = 400, .code = "invalid_type", .param = path(name), .message = ""};
  error.message = fmt::format("'{}' must be {}, not {}", error.param, want,
                              value == nullptr ? "absent" : json::kind_name(value->kind()));
  return error;
}

ApiResult<std::optional<bool>> Fields::boolean(std::string_view name) const {
  const Value* value = find(name);
  if (value == nullptr) return std::optional<bool>();
  if (!value->is_bool()) return wrong_kind(name, "true or false");
  return std::optional(value->as_bool());
}

ApiResult<std::optional<std::string>> Fields::string(std::string_view name) const {
  const Value* value = find(name);
  if (value == nullptr) return std::optional<std::string>();
  if (!value->is_string()) return wrong_kind(name, "a string");
  return std::optional(value->as_string());
}

ApiResult<std::optional<int64_t>> Fields::integer(std::string_view name, int64_t min, int64_t max) const {
  const Value* value = find(name);
  if (value == nullptr) return std::optional<int64_t>();
  if (!value->is_number()) return wrong_kind(name, "an integer");
  const std::optional<int64_t> number = value->as_int();
  if (!number || *number < min || *number > max) {
    return invalid_value(path(name), fmt::format("'{}' must be an integer from {} to {}", path(name), min, max));
  }
  return number;
}

ApiResult<std::optional<double>> Fields::number(std::string_view name, double min, double max) const {
  const Value* value = find(name);
  if (value == nullptr) return std::optional<double>();
  if (!value->is_number()) return wrong_kind(name, "a number");
  const std::optional<double> number = value->as_double();
  if (!number || !(*number >= min && *number <= max)) {
    return invalid_value(path(name), fmt::format("'{}' must be a number from {} to {}", path(name), min, max));
  }
  return number;
}

ApiResult<const Value*> Fields::object(std::string_view name) const {
  const Value* value = find(name);
  if (value != nullptr && !value->is_object()) return wrong_kind(name, "an object");
  return value;
}

ApiResult<const Value*> Fields::array(std::string_view name) const {
  const Value* value = find(name);
  if (value != nullptr && !value->is_array()) return wrong_kind(name, "an array");
  return value;
}

ApiResult<std::vector<std::string>> Fields::strings(std::string_view name, size_t max) const {
  const Value* value = find(name);
  std::vector<std::string> list;
  if (value == nullptr) return list;
  if (value->is_string()) {
    list.push_back(value->as_string());
    return list;
  }
  if (!value->is_array()) return wrong_kind(name, "a string or an array of strings");
  if (value->items().size() > max) {
    return invalid_value(path(name), fmt::format("'{}' may hold at most {} strings", path(name), max));
  }
  for (const Value& item : value->items()) {
    if (!item.is_string()) return wrong_kind(name, "a string or an array of strings");
    list.push_back(item.as_string());
  }
  return list;
}

}  // namespace hadal::api
