#include "hub/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/io.h"
#include "hub/manifest.h"
#include "hub/partial_file.h"

namespace hadal::hub {
namespace {

constexpr uint64_t kManifestBytesMax = 1 << 20;  // 1,000 files of 400 bytes at most

Error io_error(std::string what, const fs::path& path, std::string found) {
  return {.code = ErrorCode::kIo,
          .what = std::move(what),
          .in = path.string(),
          .want = "",
          .found = std::move(found),
          .hint = ""};
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(fs::symlink_status(path, ignored));
}

// Folders in a folder, links not followed, by name.
std::vector<std::string> folders_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (is_folder(at->path())) names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

PulledModel read_model(const fs::path& folder, const ModelName& name, const std::string& commit) {
  const fs::path manifest = folder / kManifestName;
  PulledModel model;
  if (const Result<std::string> text = read_file(manifest, kManifestBytesMax); text.ok()) {
    if (Result<PulledModel> parsed = parse_manifest(*text, manifest.string()); parsed.ok()) {
      model = std::move(parsed).value();
    }
  }
  // The place says which model it is; a manifest that was copied here does not.
  model.name.owner = name.owner;
  model.name.name = name.name;
  model.commit = commit;
  model.folder = folder;
  return model;
}

bool fits(const PulledModel& model, const ModelName& name) {
  constexpr size_t kShortCommit = 7;  // as git shows them
  if (model.name.owner != name.owner || model.name.name != name.name) return false;
  return name.revision.empty() || model.name.revision == name.revision ||
         (name.revision.size() >= kShortCommit && model.commit.starts_with(name.revision));
}

}  // namespace

fs::path folder_of(const fs::path& models, const ModelName& name, const std::string& commit) {
  return models / name.owner / name.name / commit;
}

std::vector<PulledModel> list_models(const fs::path& models) {
  std::vector<PulledModel> found;
  for (const std::string& owner : folders_in(models)) {
    for (const std::string& model : folders_in(models / owner)) {
      const Result<ModelName> name = parse_model_name(owner + "/" + model);
      if (!name.ok() || !name->revision.empty()) continue;
      const size_t first = found.size();
      for (const std::string& commit : folders_in(models / owner / model)) {
        if (is_commit(commit)) found.push_back(read_model(folder_of(models, *name, commit), *name, commit));
      }
      std::sort(found.begin() + static_cast<std::ptrdiff_t>(first), found.end(),
                [](const PulledModel& a, const PulledModel& b) {
                  return std::pair(b.pulled_unix_s, b.commit) < std::pair(a.pulled_unix_s, a.commit);
                });
    }
  }
  return found;
}

std::optional<PulledModel> find_model(const fs::path& models, const ModelName& name) {
  std::optional<PulledModel> found;
  for (PulledModel& model : list_models(models)) {
    if (!fits(model, name)) continue;
    if (!found || (model.is_complete && !found->is_complete)) found = std::move(model);
  }
  return found;
}

fs::path path_to_open(const PulledModel& model) {
  const auto is_gguf = [](const HubFile& file) { return !file.name.ends_with(".json"); };
  const bool has_config =
      std::any_of(model.files.begin(), model.files.end(), [](const HubFile& file) { return file.name == kConfigName; });
  if (has_config) return model.folder;
  std::vector<std::string> names;
  for (const HubFile& file : model.files) {
    if (is_gguf(file)) names.push_back(file.name);
  }
  if (names.empty()) return model.folder;
  return model.folder / *std::min_element(names.begin(), names.end());
}

Result<void> write_manifest(const PulledModel& model) {
  HADAL_ASSIGN(AtomicFile file, AtomicFile::create(model.folder / kManifestName));
  HADAL_TRY(file.write(manifest_text(model)));
  HADAL_TRY(file.commit());
  sync_folder(model.folder);
  return {};
}

Result<void> remove_model(const fs::path& models, const PulledModel& model) {
  const fs::path folder = folder_of(models, model.name, model.commit);
  for (const fs::path& at : {models / model.name.owner, models / model.name.owner / model.name.name, folder}) {
    if (is_folder(at)) continue;
    return Error{.code = ErrorCode::kInvalid,
                 .what = "nothing is removed: this is no folder of Hadal's",
                 .in = at.string(),
                 .want = "a folder",
                 .found = "a link, or something else",
                 .hint = "if it is yours, remove it by hand"};
  }
  std::error_code error;
  fs::remove(folder / kManifestName, error);  // what is left when this is cut short is no complete model
  if (!error) fs::remove_all(folder, error);  // removes links, not what they point to
  if (error) return io_error("cannot remove", folder, error.message());
  std::error_code ignored;  // others may lie there
  if (fs::remove(folder.parent_path(), ignored)) fs::remove(folder.parent_path().parent_path(), ignored);
  return {};
}

Result<ModelLock> ModelLock::take(const fs::path& models, const ModelName& name) {
  std::error_code error;
  const fs::path locks = models / ".locks";
  fs::create_directories(locks, error);
  if (error) return io_error("cannot create the folder", locks, error.message());
  const fs::path path = locks / (name.owner + "--" + name.name);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return io_error("cannot create the file", path, std::strerror(errno));
  ModelLock lock(fd);
  int failed = 0;
  do {
    failed = ::flock(fd, LOCK_EX | LOCK_NB);
  } while (failed != 0 && errno == EINTR);
  if (failed == 0) return lock;
  if (errno != EWOULDBLOCK) return io_error("cannot lock the model", path, std::strerror(errno));
  return Error{.code = ErrorCode::kInvalid,
               .what = "another hadal is fetching or removing this model",
               .in = name.text(),
               .want = "",
               .found = "its lock is held: " + path.string(),
               .hint = "wait until it is done, or stop it"};
}

ModelLock::ModelLock(ModelLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
ModelLock& ModelLock::operator=(ModelLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
ModelLock::~ModelLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace hadal::hub
