// What was pulled, and where it lies:
//
//   MODELS/OWNER/NAME/COMMIT/          one revision of one model: the files as a ModelFiles folder has them
//                     hadal-pull.json  which files belong to it, with lengths and checksums; written before the first
//                                      byte, and again, as complete, after the last checksum
//   MODELS/.locks/OWNER--NAME          held (flock) by who fetches or removes; never removed, or two could hold it
//
// Nothing here opens a connection.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "hub/model_name.h"
#include "hub/repository.h"

namespace hadal::hub {

namespace fs = std::filesystem;

struct PulledModel {
  ModelName name;  // with the revision that was asked for: "main"
  std::string commit;
  std::string hub;  // "https://huggingface.co"
  fs::path folder;
  std::vector<HubFile> files;
  int64_t pulled_unix_s = 0;
  bool is_complete = false;

  uint64_t bytes() const { return total_bytes(files); }
};

fs::path folder_of(const fs::path& models, const ModelName& name, const std::string& commit);

// All of them, by name, the newest of a name first. A folder whose manifest cannot be read is an incomplete model
// without files. Empty when the folder does not exist.
std::vector<PulledModel> list_models(const fs::path& models);

// The newest complete one of that name, or else the newest; with a revision, that was asked for by it or whose commit
// begins with it.
std::optional<PulledModel> find_model(const fs::path& models, const ModelName& name);

// What a command opens: the folder, or, of a model in GGUF, its first file.
fs::path path_to_open(const PulledModel& model);

// Writes hadal-pull.json whole or not at all. Io.
[[nodiscard]] Result<void> write_manifest(const PulledModel& model);

// Removes the model's folder, its manifest first, and folders above it that are empty then. Invalid when a link stands
// anywhere below MODELS on the way there: nothing outside is ever touched. The caller holds the lock.
[[nodiscard]] Result<void> remove_model(const fs::path& models, const PulledModel& model);

// Keeps every other process from fetching or removing a model of that name. The system lets it go when the process
// ends, however it ends.
class ModelLock {
 public:
  // Creates MODELS where it is missing. Io; Invalid when another process holds the lock.
  static Result<ModelLock> take(const fs::path& models, const ModelName& name);

  ModelLock(ModelLock&& other) noexcept;
  ModelLock& operator=(ModelLock&& other) noexcept;
  ~ModelLock();

 private:
  explicit ModelLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace hadal::hub
