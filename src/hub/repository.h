// What a hub says of a repository, and which of its files a model needs.
//
// One answer pins everything: GET /api/models/OWNER/NAME/revision/REVISION?blobs=true gives the commit and, for each
// file, its length and checksum (the huggingface_hub client's model_info(files_metadata=True)). All that it says is a
// stranger's word: names become files here only after they are checked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hadal::hub {

struct HubFile {
  std::string path;  // in the repository
  std::string name;  // here: a base name
  uint64_t bytes = 0;
  std::string sha256;    // hex; of files that git-lfs keeps
  std::string git_sha1;  // hex; of files that git keeps itself (base/hash.h, GitBlobHasher)

  friend bool operator==(const HubFile&, const HubFile&) = default;
};

struct Repository {
  std::string commit;  // 40 hex digits
  std::vector<HubFile> files;
};

inline constexpr std::string_view kIndexName = "model.safetensors.index.json";
inline constexpr std::string_view kConfigName = "config.json";

// Limits, each far above the largest release (163 shards of 4.3 GB, 9 MB of index).
inline constexpr size_t kAnswerBytesMax = size_t{32} << 20;
inline constexpr size_t kIndexBytesMax = size_t{64} << 20;
inline constexpr size_t kListedFilesMax = 20'000;
inline constexpr size_t kModelFilesMax = 1'000;
inline constexpr uint64_t kFileBytesMax = uint64_t{1} << 40;
inline constexpr uint64_t kModelBytesMax = uint64_t{16} << 40;

// Corrupt when it is no such answer; Invalid for a path that leads out of a folder or hides something; Limit. Each
// names the file. `place` is the answer's address, for messages.
Result<Repository> parse_repository(std::string_view answer, std::string_view place);

// The file of that path, or null.
const HubFile* find_file(const Repository& repository, std::string_view path);

// What the model needs besides its weights: config, tokenizer, generation config, prompt encoding, index.
std::vector<HubFile> small_files(const Repository& repository);

// The shards that the index names, or model.safetensors when there is no index (then `index` is empty). NotFound when
// the repository has no weights, or lacks a shard that the index names; Invalid for a hostile name.
Result<std::vector<HubFile>> weight_files(const Repository& repository, std::string_view index);

// The GGUF files whose path or name fits the pattern (fnmatch: * ? [...], in any case). NotFound names those that
// there are.
Result<std::vector<HubFile>> gguf_files(const Repository& repository, const std::string& pattern);

// Whether all of them may lie in one folder, on any file system: no two names that differ by case alone, and not too
// many or too long. Invalid, Limit.
Result<void> check_files(const std::vector<HubFile>& files);

uint64_t total_bytes(const std::vector<HubFile>& files);

}  // namespace hadal::hub
