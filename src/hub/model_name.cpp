#include "hub/model_name.h"

#include <algorithm>

#include "base/json.h"

namespace hadal::hub {
namespace {

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// What the hub allows itself, with the length that it allows.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 96 && is_alnum(text.front()) && text.find("..") == text.npos &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
}

bool is_revision(std::string_view text) {
  return !text.empty() && text.size() <= 200 && is_alnum(text.front()) && text.back() != '/' &&
         text.find("..") == text.npos && text.find("//") == text.npos &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.' || c == '/'; });
}

Error refused(std::string_view text, std::string_view why) {
  return {.code = ErrorCode::kInvalid,
          .what = "not the name of a model",
          .in = json::excerpt(text),
          .want = "OWNER/NAME or OWNER/NAME@REVISION, as in deepseek-ai/DeepSeek-V4-Flash",
          .found = std::string(why),
          .hint = ""};
}

}  // namespace

Result<ModelName> parse_model_name(std::string_view text) {
  ModelName model;
  const size_t at = text.find('@');
  const std::string_view name = text.substr(0, at);
  const size_t slash = name.find('/');
  if (slash == name.npos) return refused(text, "no owner");
  model.owner = name.substr(0, slash);
  model.name = name.substr(slash + 1);
  if (!is_name(model.owner)) return refused(text, "an owner that no hub allows");
  if (!is_name(model.name)) return refused(text, "a name that no hub allows");
  if (at == text.npos) return model;
  model.revision = text.substr(at + 1);
  if (!is_revision(model.revision)) return refused(text, "a revision that git does not allow");
  return model;
}

bool is_commit(std::string_view text) {
  return text.size() == 40 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace hadal::hub
