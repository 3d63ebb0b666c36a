#include "hub/manifest.h"

#include "base/base_name.h"
#include "base/json.h"

namespace hadal::hub {
namespace {

constexpr int64_t kFormat = 1;

Error corrupt(std::string_view place, std::string found) {
  return {.code = ErrorCode::kCorrupt,
          .what = "not what `hadal pull` wrote",
          .in = std::string(place),
          .want = "name, commit and files of a model",
          .found = std::move(found),
          .hint = "`hadal rm` removes the model, `hadal pull` fetches it again"};
}

std::string text_of(const json::Value& value, std::string_view key) {
  const json::Value* member = value.find(key);
  return member == nullptr ? "" : member->as_string();
}

int64_t int_of(const json::Value& value, std::string_view key) {
  const json::Value* member = value.find(key);
  return member == nullptr ? -1 : member->as_int().value_or(-1);
}

}  // namespace

std::string manifest_text(const PulledModel& model) {
  json::Value files = json::Value::array();
  for (const HubFile& file : model.files) {
    json::Value entry = json::Value::object();
    entry.set("name", json::Value::string(file.name));
    entry.set("bytes", json::Value::number(static_cast<int64_t>(file.bytes)));
    if (!file.sha256.empty()) {
      entry.set("sha256", json::Value::string(file.sha256));
    } else {
      entry.set("git_sha1", json::Value::string(file.git_sha1));
    }
    files.push(std::move(entry));
  }
  json::Value value = json::Value::object();
  value.set("format", json::Value::number(kFormat));
  value.set("name", json::Value::string(model.name.text()));
  value.set("revision", json::Value::string(model.name.revision));
  value.set("commit", json::Value::string(model.commit));
  value.set("hub", json::Value::string(model.hub));
  value.set("pulled_unix_s", json::Value::number(model.pulled_unix_s));
  value.set("is_complete", json::Value::boolean(model.is_complete));
  value.set("files", std::move(files));
  return json::dump_pretty(value) + "\n";
}

Result<PulledModel> parse_manifest(std::string_view text, std::string_view place) {
  HADAL_ASSIGN(const json::Value value, json::parse(text, place));
  if (int_of(value, "format") != kFormat) return corrupt(place, "another format");
  Result<ModelName> name = parse_model_name(text_of(value, "name"));
  if (!name.ok()) return corrupt(place, name.error().found);
  PulledModel model;
  model.name = std::move(name).value();
  model.name.revision = text_of(value, "revision");
  model.commit = text_of(value, "commit");
  model.hub = text_of(value, "hub");
  model.pulled_unix_s = int_of(value, "pulled_unix_s");
  const json::Value* is_complete = value.find("is_complete");
  model.is_complete = is_complete != nullptr && is_complete->as_bool();
  const json::Value* files = value.find("files");
  if (!is_commit(model.commit) || files == nullptr || !files->is_array()) return corrupt(place, "no commit or files");
  for (const json::Value& entry : files->items()) {
    const int64_t bytes = int_of(entry, "bytes");
    HubFile file{.path = "",
                 .name = text_of(entry, "name"),
                 .sha256 = text_of(entry, "sha256"),
                 .git_sha1 = text_of(entry, "git_sha1")};
    if (!is_base_name(file.name) || bytes < 0 || static_cast<uint64_t>(bytes) > kFileBytesMax) {
      return corrupt(place, json::excerpt(entry));
    }
    file.path = file.name;
    file.bytes = static_cast<uint64_t>(bytes);
    model.files.push_back(std::move(file));
  }
  return model;
}

}  // namespace hadal::hub
