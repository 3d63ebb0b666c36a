// Reading the fields of a request: each checks the kind and the range and names the field in its error. A missing field
// and null are the same: absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "server/api/api_error.h"

namespace hadal::api {

class Fields {
 public:
  // `path` stands in front of names in errors: "reasoning." makes "reasoning.effort". The value must outlive this.
  explicit Fields(const json::Value& object, std::string path = "") : object_(&object), path_(std::move(path)) {}

  // Null when absent.
  const json::Value* find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }

  ApiResult<std::optional<bool>> boolean(std::string_view name) const;
  ApiResult<std::optional<std::string>> string(std::string_view name) const;
  ApiResult<std::optional<int64_t>> integer(std::string_view name, int64_t min, int64_t max) const;
  ApiResult<std::optional<double>> number(std::string_view name, double min, double max) const;
  ApiResult<const json::Value*> object(std::string_view name) const;  // null when absent
  ApiResult<const json::Value*> array(std::string_view name) const;
  // A string or a list of strings.
  ApiResult<std::vector<std::string>> strings(std::string_view name, size_t max) const;

  ApiError wrong_kind(std::string_view name, std::string_view want) const;
  std::string path(std::string_view name) const { return path_ + std::string(name); }

 private:
  const json::Value* object_;
  std::string path_;
};

}  // namespace hadal::api
