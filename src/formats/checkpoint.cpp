#include "formats/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <set>
#include <unordered_map>

#include "formats/gguf/gguf_shards.h"
#include "formats/safetensors.h"

namespace hadal {

namespace {

constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::string_view kSingleName = "model.safetensors";
constexpr std::string_view kExtension = ".safetensors";
// The published index of 72,317 tensors has 7 MB.
constexpr uint64_t kIndexBytesMax = uint64_t{256} << 20;
// One value a tensor; about 100 bytes each.
constexpr size_t kIndexValuesMax = size_t{4} << 20;
// Metadata may hold anything; weight_map needs three levels.
constexpr int kIndexDepthMax = 8;
// Each shard is a mapping; Linux allows a process 65,530 of them. Published checkpoints have up to 163 shards.
constexpr size_t kShardsMax = 4096;

bool is_index_name(std::string_view name) {
  return name.ends_with(".safetensors.index.json");
}

// What the index says: the shard of each tensor, the shards in order, the sum of all bytes.
struct Index {
  json::Value root;  // holds the names
  std::unordered_map<std::string_view, std::string_view> shard_of;
  std::set<std::string_view> shards;
  std::optional<int64_t> total_size;
};

Error bad_index(ErrorCode code, std::string what, std::string in, std::string want, std::string found) {
  return Error{.code = code,
               .what = std::move(what),
               .in = std::move(in),
               .want = std::move(want),
               .found = std::move(found),
               .hint = ""};
}

std::string shortened(const json::Value* value) {
  return value == nullptr ? "nothing" : json::excerpt(*value);
}

Result<Index> read_index(std::string_view text, const std::string& place) {
  Index index;
  HADAL_ASSIGN(index.root,
               json::parse(text, place,
                           {.bytes_max = kIndexBytesMax, .depth_max = kIndexDepthMax, .values_max = kIndexValuesMax}));
  const json::Value* map = index.root.find("weight_map");
  if (map == nullptr || !map->is_object()) {
    return bad_index(ErrorCode::kCorrupt, "index has no weight map", place + ": weight_map",
                     "an object: tensor name to file name", shortened(map));
  }
  index.shard_of.reserve(map->members().size());
  for (const auto& [tensor, shard] : map->members()) {
    const auto in = [&, &name = tensor] { return fmt::format("{}: weight_map.{}", place, json::excerpt(name)); };
    if (!shard.is_string()) {
      return bad_index(ErrorCode::kCorrupt, "index names no file", in(), "a file name", shortened(&shard));
    }
    const std::string& name = shard.as_string();
    if (!name.ends_with(kExtension) || !is_base_name(name)) {
      return bad_index(ErrorCode::kInvalid, "index names a file that is no shard", in(),
                       "the name of a .safetensors file in the same folder", json::excerpt(name));
    }
    index.shards.insert(name);
    index.shard_of.emplace(tensor, name);
  }
  if (index.shards.size() > kShardsMax) {
    return bad_index(ErrorCode::kLimit, "checkpoint has too many shards", place, fmt::format("at most {}", kShardsMax),
                     fmt::format("{}", index.shards.size()));
  }
  const json::Value* metadata = index.root.find("metadata");
  if (const json::Value* total = metadata == nullptr ? nullptr : metadata->find("total_size")) {
    index.total_size = total->as_int();
    if (!index.total_size || *index.total_size < 0) {
      return bad_index(ErrorCode::kCorrupt, "index has a wrong total size", place + ": metadata.total_size",
                       "the sum of all tensors' bytes", shortened(total));
    }
  }
  return index;
}

// All that are missing are counted, so that one download mends them.
Result<void> check_shards_exist(const Index& index, const ModelFiles& files) {
  std::vector<std::string> missing;
  for (const std::string_view shard : index.shards) {
    if (!files.has(shard)) missing.emplace_back(shard);
  }
  if (missing.empty()) return {};
  return Error{.code = ErrorCode::kNotFound,
               .what = "checkpoint is not complete",
               .in = files.place(),
               .want = missing.front(),
               .found = fmt::format("no such file; {} of {} shards are missing", missing.size(), index.shards.size()),
               .hint = "fetch the missing files; a download may have been cut off"};
}

// The one file of a checkpoint without an index.
Result<std::string> single_file(const ModelFiles& files) {
  if (!files.only_file().empty()) return files.only_file();
  if (files.has(kSingleName)) return std::string(kSingleName);
  std::vector<std::string> candidates = files.names();
  std::erase_if(candidates, [](const std::string& name) { return !name.ends_with(kExtension); });
  if (candidates.size() == 1) return candidates.front();
  return Error{.code = ErrorCode::kNotFound,
               .what = "no checkpoint here",
               .in = files.place(),
               .want = fmt::format("{}, {} or one .gguf file", kIndexName, kSingleName),
               .found = candidates.empty() ? "no .safetensors file"
                                           : fmt::format("{} .safetensors files and no index", candidates.size()),
               .hint = candidates.empty() ? "" : "name one of the files, or fetch the index"};
}

}  // namespace

struct Checkpoint::Impl {
  std::string place;
  std::list<std::string> shard_names;  // tensors point to them; a list keeps them in place
  std::vector<std::shared_ptr<const std::vector<std::string>>> names;
  std::vector<StoredTensor> tensors;
  std::unordered_map<std::string_view, size_t> by_name;
  uint64_t tensor_bytes = 0;
  std::optional<GgufFile> gguf;

  Result<void> add_shard(ModelFiles& files, std::string_view shard);
  Result<void> add_gguf_shards(ModelFiles& files, const std::vector<std::string>& shards);
  Result<void> add_tensors(std::vector<StoredTensor>& tensors_of_shard);
  Result<void> check_against(const Index& index, const std::string& index_place) const;
};

Result<void> Checkpoint::Impl::add_shard(ModelFiles& files, std::string_view shard) {
  const std::string& name = shard_names.emplace_back(shard);
  HADAL_ASSIGN(const std::span<const std::byte> bytes, files.map(name));
  HADAL_ASSIGN(SafetensorsFile file, parse_safetensors(bytes, name));
  names.push_back(std::move(file.names));
  return add_tensors(file.tensors);
}

Result<void> Checkpoint::Impl::add_gguf_shards(ModelFiles& files, const std::vector<std::string>& shards) {
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string& name = shard_names.emplace_back(shards[i]);
    HADAL_ASSIGN(const std::span<const std::byte> bytes, files.map(name));
    HADAL_ASSIGN(GgufFile file, parse_gguf(bytes, name));
    HADAL_TRY(check_gguf_shard(file, name, i, shards.size()));
    names.push_back(file.names);
    HADAL_TRY(add_tensors(file.tensors));
    if (i == 0) gguf = std::move(file);
  }
  return check_gguf_total(*gguf, shard_names.front(), tensors.size());
}

Result<void> Checkpoint::Impl::add_tensors(std::vector<StoredTensor>& tensors_of_shard) {
  for (StoredTensor& tensor : tensors_of_shard) {
    const auto [known, is_new] = by_name.emplace(tensor.name, tensors.size());
    if (!is_new) {
      return bad_index(ErrorCode::kCorrupt, "tensor is in two shards", tensor.place(), "once",
                       "also in " + tensors[known->second].place());
    }
    tensor_bytes += tensor.bytes.size();
    tensors.push_back(std::move(tensor));
  }
  tensors_of_shard.clear();
  return {};
}

// Every tensor of the shards is in the index under its shard, and the other way round.
Result<void> Checkpoint::Impl::check_against(const Index& index, const std::string& index_place) const {
  for (const StoredTensor& tensor : tensors) {
    const auto entry = index.shard_of.find(tensor.name);
    if (entry == index.shard_of.end() || entry->second != tensor.file) {
      return bad_index(ErrorCode::kCorrupt, "index and shard disagree",
                       fmt::format("{}: weight_map.{}", index_place, json::excerpt(tensor.name)),
                       std::string(tensor.file),
                       entry == index.shard_of.end() ? "nothing" : std::string(entry->second));
    }
  }
  for (const auto& [tensor, shard] : index.shard_of) {
    if (by_name.contains(tensor)) continue;
    return bad_index(ErrorCode::kCorrupt, "shard lacks a tensor that the index puts there",
                     fmt::format("{}: weight_map.{}", index_place, json::excerpt(tensor)),
                     fmt::format("the tensor in {}", shard), "no such tensor");
  }
  if (index.total_size && static_cast<uint64_t>(*index.total_size) != tensor_bytes) {
    return bad_index(ErrorCode::kCorrupt, "index has a wrong total size", index_place + ": metadata.total_size",
                     fmt::format("{}, the sum of all tensors' bytes", tensor_bytes),
                     fmt::format("{}", *index.total_size));
  }
  return {};
}

Checkpoint::Checkpoint(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

Result<Checkpoint> Checkpoint::open(ModelFiles& files) {
  auto impl = std::make_unique<Impl>();
  impl->place = files.place();
  const std::string only = files.only_file();
  HADAL_ASSIGN(const std::vector<std::string> gguf_shards, gguf_shard_names(files));
  if (!gguf_shards.empty()) {
    HADAL_TRY(impl->add_gguf_shards(files, gguf_shards));
    return Checkpoint(std::move(impl));
  }
  const std::string index_name = is_index_name(only) ? only : std::string(kIndexName);
  if (!files.has(index_name) || (!only.empty() && only != index_name)) {
    HADAL_ASSIGN(const std::string name, single_file(files));
    HADAL_TRY(impl->add_shard(files, name));
    return Checkpoint(std::move(impl));
  }
  HADAL_ASSIGN(const std::string_view text, files.text(index_name, kIndexBytesMax));
  HADAL_ASSIGN(const Index index, read_index(text, index_name));
  HADAL_TRY(check_shards_exist(index, files));
  impl->by_name.reserve(index.shard_of.size());
  impl->tensors.reserve(index.shard_of.size());
  for (const std::string_view shard : index.shards) HADAL_TRY(impl->add_shard(files, shard));
  HADAL_TRY(impl->check_against(index, index_name));
  return Checkpoint(std::move(impl));
}

const StoredTensor* Checkpoint::find(std::string_view name) const {
  const auto found = impl_->by_name.find(name);
  return found == impl_->by_name.end() ? nullptr : &impl_->tensors[found->second];
}

const std::vector<StoredTensor>& Checkpoint::tensors() const {
  return impl_->tensors;
}
uint64_t Checkpoint::tensor_bytes() const {
  return impl_->tensor_bytes;
}
const std::string& Checkpoint::place() const {
  return impl_->place;
}
const GgufFile* Checkpoint::gguf() const {
  return impl_->gguf ? &*impl_->gguf : nullptr;
}

}  // namespace hadal
