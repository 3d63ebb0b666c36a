#include "hub/repository.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/base_name.h"
#include "base/format.h"
#include "base/json.h"
#include "hub/model_name.h"

namespace hadal::hub {
namespace {

// Read by src/engine (config, tokenizer, generation config, how the model is spoken to) and src/formats (index).
constexpr std::string_view kSmallFiles[] = {kConfigName,           "generation_config.json",
                                            "tokenizer.json",      "tokenizer_config.json",
                                            "chat_template.jinja", kIndexName};

Error refused(ErrorCode code, std::string what, std::string in, std::string want, std::string found) {
  return {.code = code,
          .what = std::move(what),
          .in = std::move(in),
          .want = std::move(want),
          .found = std::move(found),
          .hint = ""};
}

bool is_hex(std::string_view text, size_t digits) {
  return text.size() == digits &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::string_view last_part(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == path.npos ? path : path.substr(slash + 1);
}

// Base names joined by single slashes.
bool is_relative_path(std::string_view path) {
  if (path.size() > 1024) return false;
  while (true) {
    const size_t slash = path.find('/');
    if (!is_base_name(path.substr(0, slash))) return false;
    if (slash == path.npos) return true;
    path.remove_prefix(slash + 1);
  }
}

std::string text_of(const json::Value& value, std::string_view key) {
  const json::Value* member = value.find(key);
  return member != nullptr && member->is_string() ? member->as_string() : "";
}

Result<HubFile> parse_file(const json::Value& value, const std::string& place) {
  HubFile file;
  file.path = text_of(value, "rfilename");
  if (!is_relative_path(file.path)) {
    return refused(ErrorCode::kInvalid, "the hub lists a file name that Hadal refuses", place,
                   "names without .., \\, control characters or a leading /", json::excerpt(file.path));
  }
  file.name = last_part(file.path);
  const json::Value* lfs = value.find("lfs");
  const json::Value* size = (lfs != nullptr && lfs->is_object() ? *lfs : value).find("size");
  const std::optional<int64_t> bytes = size != nullptr ? size->as_int() : std::nullopt;
  if (!bytes || *bytes < 0) {
    return refused(ErrorCode::kCorrupt, "the hub does not say how long a file is", place, "a size",
                   json::excerpt(file.path));
  }
  file.bytes = static_cast<uint64_t>(*bytes);
  if (file.bytes > kFileBytesMax) {
    return refused(ErrorCode::kLimit, "the hub lists a file that is too long", place + ": " + json::excerpt(file.path),
                   "at most " + format_bytes(kFileBytesMax), format_bytes(file.bytes));
  }
  if (lfs != nullptr && lfs->is_object()) {
    file.sha256 = text_of(*lfs, "sha256");
  } else {
    file.git_sha1 = text_of(value, "blobId");
  }
  if (!is_hex(file.sha256, 64) && !is_hex(file.git_sha1, 40)) {
    return refused(ErrorCode::kCorrupt, "the hub gives no checksum of a file", place, "SHA-256 or git's SHA-1",
                   json::excerpt(file.path));
  }
  return file;
}

std::string listed_names(const Repository& repository, std::string_view suffix) {
  constexpr size_t kShown = 12;
  std::vector<std::string> names;
  size_t n = 0;
  for (const HubFile& file : repository.files) {
    if (!lower(file.name).ends_with(suffix)) continue;
    if (++n <= kShown) names.push_back(file.path);
  }
  if (n > kShown) names.push_back(fmt::format("{} more", n - kShown));
  return names.empty() ? fmt::format("no {} file", suffix) : fmt::format("{}", fmt::join(names, ", "));
}

Error no_weights(const Repository& repository) {
  Error error =
      refused(ErrorCode::kNotFound, "the repository has no safetensors weights", "commit " + repository.commit,
              "model.safetensors, or an index with its shards", listed_names(repository, ".gguf"));
  const bool has_gguf = std::any_of(repository.files.begin(), repository.files.end(),
                                    [](const HubFile& file) { return lower(file.name).ends_with(".gguf"); });
  if (has_gguf) error.hint = "--gguf PATTERN fetches the GGUF files whose names fit, as in --gguf '*Q4_K_M*'";
  return error;
}

}  // namespace

Result<Repository> parse_repository(std::string_view answer, std::string_view place) {
  const std::string in(place);
  HADAL_ASSIGN(const json::Value value, json::parse(answer, place, {.bytes_max = kAnswerBytesMax}));
  Repository repository;
  repository.commit = text_of(value, "sha");
  const json::Value* files = value.find("siblings");
  if (!is_commit(repository.commit) || files == nullptr || !files->is_array()) {
    return refused(ErrorCode::kCorrupt, "this is no hub's answer about a model", in,
                   "an object with the commit (\"sha\") and the files (\"siblings\")", json::excerpt(value));
  }
  if (files->items().size() > kListedFilesMax) {
    return refused(ErrorCode::kLimit, "the repository has too many files", in,
                   "at most " + format_count(kListedFilesMax), format_count(files->items().size()));
  }
  std::set<std::string> paths;
  for (const json::Value& item : files->items()) {
    HADAL_ASSIGN(HubFile file, parse_file(item, in));
    if (!paths.insert(file.path).second) {
      return refused(ErrorCode::kCorrupt, "the hub lists a file twice", in, "each once", json::excerpt(file.path));
    }
    repository.files.push_back(std::move(file));
  }
  return repository;
}

const HubFile* find_file(const Repository& repository, std::string_view path) {
  const auto found = std::find_if(repository.files.begin(), repository.files.end(),
                                  [&](const HubFile& file) { return file.path == path; });
  return found == repository.files.end() ? nullptr : &*found;
}

std::vector<HubFile> small_files(const Repository& repository) {
  std::vector<HubFile> files;
  for (const std::string_view name : kSmallFiles) {
    if (const HubFile* file = find_file(repository, name)) files.push_back(*file);
  }
  return files;
}

Result<std::vector<HubFile>> weight_files(const Repository& repository, std::string_view index) {
  if (index.empty()) {
    const HubFile* only = find_file(repository, "model.safetensors");
    if (only == nullptr) return no_weights(repository);
    return std::vector<HubFile>{*only};
  }
  HADAL_ASSIGN(const json::Value value, json::parse(index, kIndexName, {.bytes_max = kIndexBytesMax}));
  const json::Value* map = value.find("weight_map");
  if (map == nullptr || !map->is_object() || map->members().empty()) {
    return refused(ErrorCode::kCorrupt, "the index names no shards", std::string(kIndexName),
                   "a \"weight_map\" of tensors and their files", json::excerpt(value));
  }
  std::set<std::string> names;
  for (const auto& [tensor, shard] : map->members()) {
    if (!is_base_name(shard.as_string()) || !shard.as_string().ends_with(".safetensors")) {
      return refused(ErrorCode::kInvalid, "the index names a file that Hadal refuses", std::string(kIndexName),
                     "the base name of a .safetensors file", json::excerpt(shard));
    }
    names.insert(shard.as_string());
  }
  std::vector<HubFile> shards;
  for (const std::string& name : names) {
    const HubFile* shard = find_file(repository, name);
    if (shard == nullptr) {
      return refused(ErrorCode::kNotFound, "the repository lacks a shard of its index", std::string(kIndexName),
                     json::excerpt(name), "no such file");
    }
    shards.push_back(*shard);
  }
  return shards;
}

Result<std::vector<HubFile>> gguf_files(const Repository& repository, const std::string& pattern) {
  std::vector<HubFile> files;
  for (const HubFile& file : repository.files) {
    if (!lower(file.name).ends_with(".gguf")) continue;
    const bool is_wanted = ::fnmatch(pattern.c_str(), file.path.c_str(), FNM_CASEFOLD) == 0 ||
                           ::fnmatch(pattern.c_str(), file.name.c_str(), FNM_CASEFOLD) == 0;
    if (is_wanted) files.push_back(file);
  }
  if (files.empty()) {
    return refused(ErrorCode::kNotFound, "no GGUF file fits the pattern", "commit " + repository.commit,
                   json::excerpt(pattern), listed_names(repository, ".gguf"));
  }
  return files;
}

Result<void> check_files(const std::vector<HubFile>& files) {
  if (files.size() > kModelFilesMax) {
    return refused(ErrorCode::kLimit, "the model has too many files", "", "at most " + format_count(kModelFilesMax),
                   format_count(files.size()));
  }
  std::map<std::string, std::string> seen;  // lower case -> path
  for (const HubFile& file : files) {
    const auto [other, is_new] = seen.emplace(lower(file.name), file.path);
    if (!is_new) {
      return refused(ErrorCode::kInvalid, "two files of the model would be one file here", json::excerpt(file.path),
                     "names that differ by more than case", json::excerpt(other->second));
    }
  }
  if (total_bytes(files) > kModelBytesMax) {
    return refused(ErrorCode::kLimit, "the model is too large", "", "at most " + format_bytes(kModelBytesMax),
                   format_bytes(total_bytes(files)));
  }
  return {};
}

uint64_t total_bytes(const std::vector<HubFile>& files) {
  uint64_t bytes = 0;
  for (const HubFile& file : files) bytes += file.bytes;  // at most 20,000 x 2^40: no overflow
  return bytes;
}

}  // namespace hadal::hub
