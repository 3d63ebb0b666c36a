#include "pulled_text.h"

#include <fmt/format.h>

#include <ctime>

#include "base/utf8.h"
#include "hub/fetch.h"

namespace hadal::cli {

std::string short_commit(const std::string& commit) {
  return commit.substr(0, 12);
}

std::string format_time(int64_t unix_s) {
  const std::time_t time = unix_s;
  std::tm parts{};
  if (unix_s <= 0 || ::gmtime_r(&time, &parts) == nullptr) return "-";
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min);
}

json::Value to_json(const hub::PulledModel& model) {
  const uint64_t missing = hub::missing_bytes(model.folder, model.files, hub::kBlockBytes);
  json::Value value = json::Value::object();
  value.set("name", json::Value::string(model.name.text()));
  value.set("revision", json::Value::string(model.name.revision));
  value.set("commit", json::Value::string(model.commit));
  value.set("hub", json::Value::string(model.hub));
  value.set("folder", json::Value::string(utf8::sanitize(model.folder.string())));
  value.set("bytes", json::Value::number(static_cast<int64_t>(model.bytes())));
  value.set("missing_bytes", json::Value::number(static_cast<int64_t>(missing)));
  value.set("is_complete", json::Value::boolean(model.is_complete));
  value.set("pulled_unix_s", json::Value::number(model.pulled_unix_s));
  value.set("n_files", json::Value::number(static_cast<int64_t>(model.files.size())));
  return value;
}

}  // namespace hadal::cli
