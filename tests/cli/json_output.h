// What a command wrote with --json, for tests that look into it.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/json.h"
#include "cli/program.h"

namespace hadal::test {

inline json::Value json_of(const Finished& finished) {
  Result<json::Value> value = json::parse(finished.out, "standard output");
  HADAL_CHECK(value.ok(), "no JSON", finished.out, finished.err);
  return std::move(*value);
}

// The keys of an object, in their order.
inline std::vector<std::string> keys_of(const json::Value& value) {
  std::vector<std::string> keys;
  for (const auto& [key, member] : value.members()) keys.push_back(key);
  return keys;
}

// The number behind a path of keys; the test stops when there is none.
inline double number_at(const json::Value& value, std::initializer_list<const char*> keys) {
  const json::Value* at = &value;
  for (const char* key : keys) {
    at = at->find(key);
    HADAL_CHECK(at != nullptr, "no key", key);
  }
  const std::optional<double> number = at->as_double();
  HADAL_CHECK(number.has_value(), "no number behind the keys");
  return *number;
}

}  // namespace hadal::test
