#include "hub/pull.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>

#include "base/format.h"
#include "base/io.h"
#include "hub/manifest.h"

namespace hadal::hub {
namespace {

// Left free beside the model: journals, the manifest, and a disk that is not full to the last byte.
constexpr uint64_t kSpareBytes = 64 << 20;

Url at(const Url& base, const std::string& path) {
  Url url = base;
  while (url.path.ends_with('/')) url.path.pop_back();
  url.path += path;
  return url;
}

// A slash in a branch's name is no separator of the address.
std::string encoded_revision(const std::string& revision) {
  std::string text;
  for (const char c : revision) text += c == '/' ? "%2F" : percent_encoded(std::string_view(&c, 1));
  return text;
}

Url url_of_answer(const PullRequest& request) {
  const std::string revision = request.name.revision.empty() ? "main" : request.name.revision;
  return at(request.hub,
            fmt::format("/api/models/{}/revision/{}?blobs=true", request.name.text(), encoded_revision(revision)));
}

UrlOfFile file_urls(const PullRequest& request, const std::string& commit) {
  const std::string folder = fmt::format("/{}/resolve/{}/", request.name.text(), commit);
  return [base = request.mirror.value_or(request.hub), folder](const HubFile& file) {
    return at(base, folder + percent_encoded(file.path));
  };
}

// The index decides which shards there are, so it is read, and checked, before anything else.
Result<std::string> fetch_index(const PullRequest& request, const Repository& repository) {
  const HubFile* index = find_file(repository, kIndexName);
  if (index == nullptr) return std::string();
  if (index->bytes > kIndexBytesMax) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "the index is too long",
                 .in = std::string(kIndexName),
                 .want = "at most " + format_bytes(kIndexBytesMax),
                 .found = format_bytes(index->bytes),
                 .hint = ""};
  }
  const Url url = file_urls(request, repository.commit)(*index);
  HADAL_ASSIGN(std::string text, fetch_text(request.fetch, url, index->bytes));
  const std::string found = checksum_of(*index, text);
  if (found == expected_checksum(*index)) return text;
  return Error{.code = ErrorCode::kCorrupt,
               .what = "what was fetched is not what the hub promised",
               .in = url.text(),
               .want = expected_checksum(*index),
               .found = found,
               .hint = "try again later, or another hub (--hub) or mirror (--mirror)"};
}

Result<std::vector<HubFile>> wanted_files(const PullRequest& request, const Repository& repository,
                                          const std::string& index) {
  if (!request.gguf.empty()) return gguf_files(repository, request.gguf);
  std::vector<HubFile> files = small_files(repository);
  if (find_file(repository, kConfigName) == nullptr && find_file(repository, kIndexName) != nullptr) {
    return Error{.code = ErrorCode::kNotFound,
                 .what = "the repository is no model",
                 .in = "commit " + repository.commit,
                 .want = std::string(kConfigName),
                 .found = "no such file",
                 .hint = ""};
  }
  HADAL_ASSIGN(const std::vector<HubFile> weights, weight_files(repository, index));
  files.insert(files.end(), weights.begin(), weights.end());
  return files;
}

// Files of an earlier pull of the same commit stay part of the model: another GGUF beside the first.
void add_earlier_files(PulledModel& model, const PulledModel& earlier) {
  for (const HubFile& file : earlier.files) {
    const bool is_known = std::any_of(model.files.begin(), model.files.end(),
                                      [&](const HubFile& other) { return other.name == file.name; });
    if (!is_known && is_finished(earlier.folder, file)) model.files.push_back(file);
  }
}

Result<void> check_space(const fs::path& folder, uint64_t missing_bytes) {
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0) return {};  // cannot be known; writing will tell
  const uint64_t free_bytes = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (missing_bytes + kSpareBytes <= free_bytes) return {};
  return Error{
      .code = ErrorCode::kLimit,
      .what = "not enough space on the disk",
      .in = folder.string(),
      .want = fmt::format("{} for the model and {} to spare", format_bytes(missing_bytes), format_bytes(kSpareBytes)),
      .found = format_bytes(free_bytes) + " free",
      .hint = "free some space, or set HADAL_MODELS to a folder on another disk"};
}

Result<void> write_index(const PullPlan& plan) {
  if (plan.index.empty() || !std::any_of(plan.model.files.begin(), plan.model.files.end(),
                                         [](const HubFile& file) { return file.name == kIndexName; })) {
    return {};
  }
  HADAL_ASSIGN(AtomicFile file, AtomicFile::create(plan.model.folder / kIndexName));
  HADAL_TRY(file.write(plan.index));
  return file.commit();
}

}  // namespace

Result<PullPlan> plan_pull(PullRequest request) {
  request.fetch.http.token_origin = request.hub;
  const Url url = url_of_answer(request);
  HADAL_ASSIGN(const std::string answer, fetch_text(request.fetch, url, kAnswerBytesMax));
  HADAL_ASSIGN(const Repository repository, parse_repository(answer, url.text()));
  PullPlan plan;
  if (request.gguf.empty()) {
    HADAL_ASSIGN(plan.index, fetch_index(request, repository));
  }
  PulledModel& model = plan.model;
  model.name = request.name;
  if (model.name.revision.empty()) model.name.revision = "main";
  model.commit = repository.commit;
  model.hub = request.hub.origin();
  model.folder = folder_of(request.models, request.name, repository.commit);
  model.pulled_unix_s = request.now_unix_s;
  HADAL_ASSIGN(model.files, wanted_files(request, repository, plan.index));
  ModelName commit = request.name;
  commit.revision = repository.commit;
  const std::optional<PulledModel> earlier = find_model(request.models, commit);
  if (earlier) add_earlier_files(model, *earlier);
  HADAL_TRY(check_files(model.files));
  plan.missing_bytes = missing_bytes(model.folder, model.files, request.fetch.block_bytes);
  plan.is_here = earlier && earlier->is_complete &&
                 std::all_of(model.files.begin(), model.files.end(),
                             [&](const HubFile& file) { return is_finished(model.folder, file); });
  return plan;
}

Result<PulledModel> carry_out(PullRequest request, PullPlan plan, std::atomic<uint64_t>& fetched_bytes) {
  request.fetch.http.token_origin = request.hub;
  PulledModel& model = plan.model;
  std::error_code error;
  fs::create_directories(model.folder, error);
  if (error) {
    return Error{.code = ErrorCode::kIo,
                 .what = "cannot create the folder",
                 .in = model.folder.string(),
                 .want = "",
                 .found = error.message(),
                 .hint = "HADAL_MODELS names another one"};
  }
  HADAL_TRY(check_space(model.folder, plan.missing_bytes));
  model.is_complete = false;
  HADAL_TRY(write_manifest(model));
  HADAL_TRY(write_index(plan));
  HADAL_TRY(fetch_files(request.fetch, model.folder, model.files, file_urls(request, model.commit), fetched_bytes));
  model.is_complete = true;
  HADAL_TRY(write_manifest(model));
  return std::move(model);
}

}  // namespace hadal::hub
