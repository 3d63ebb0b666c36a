#include "formats/gguf/gguf_shards.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace hadal {
namespace {

// "-00001-of-00004.gguf"
constexpr size_t kNumberDigits = 5;
constexpr std::string_view kOf = "-of-";
constexpr size_t kSuffixBytes = 1 + kNumberDigits + kOf.size() + kNumberDigits + kGgufExtension.size();

struct ShardName {
  std::string_view prefix;
  size_t number;  // from 1
  size_t count;
};

std::optional<size_t> number_of(std::string_view digits) {
  size_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

std::optional<ShardName> parse_shard_name(std::string_view name) {
  if (name.size() <= kSuffixBytes || !name.ends_with(kGgufExtension)) return std::nullopt;
  const std::string_view suffix = name.substr(name.size() - kSuffixBytes);
  if (suffix[0] != '-' || suffix.substr(1 + kNumberDigits, kOf.size()) != kOf) return std::nullopt;
  const std::optional<size_t> number = number_of(suffix.substr(1, kNumberDigits));
  const std::optional<size_t> count = number_of(suffix.substr(1 + kNumberDigits + kOf.size(), kNumberDigits));
  if (!number || !count || *number < 1 || *number > *count) return std::nullopt;
  return ShardName{name.substr(0, name.size() - kSuffixBytes), *number, *count};
}

// All that are missing are counted, so that one download mends them.
Result<std::vector<std::string>> whole_set(const ModelFiles& files, std::string_view one) {
  const std::optional<ShardName> shard = parse_shard_name(one);
  if (!shard) return std::vector<std::string>{std::string(one)};
  std::vector<std::string> names, missing;
  for (size_t number = 1; number <= shard->count; ++number) {
    names.push_back(gguf_shard_name(shard->prefix, number, shard->count));
    if (!files.has(names.back())) missing.push_back(names.back());
  }
  if (missing.empty()) return names;
  return Error{.code = ErrorCode::kNotFound,
               .what = "checkpoint is not complete",
               .in = files.place(),
               .want = missing.front(),
               .found = fmt::format("no such file; {} of {} shards are missing", missing.size(), shard->count),
               .hint = "fetch the missing files; a download may have been cut off"};
}

Error wrong_split(std::string_view name, std::string_view key, std::string want, const GgufValue* found) {
  return Error{.code = ErrorCode::kCorrupt,
               .what = "file is not the shard that its name says",
               .in = fmt::format("{}: {}", name, key),
               .want = std::move(want),
               .found = found == nullptr ? "nothing" : found->shown(),
               .hint = "shards keep the names that they were written under"};
}

}  // namespace

std::string gguf_shard_name(std::string_view prefix, size_t number, size_t count) {
  return fmt::format("{}-{:05}-of-{:05}{}", prefix, number, count, kGgufExtension);
}

bool is_gguf_model(const ModelFiles& files) {
  if (!files.only_file().empty()) return files.only_file().ends_with(kGgufExtension);
  const std::vector<std::string> names = files.names();
  const auto has = [&](std::string_view extension) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return name.ends_with(extension); });
  };
  return has(kGgufExtension) && !has(".safetensors");
}

Result<std::vector<std::string>> gguf_shard_names(const ModelFiles& files) {
  if (!is_gguf_model(files)) return std::vector<std::string>();
  if (!files.only_file().empty()) return whole_set(files, files.only_file());
  std::vector<std::string> names = files.names();
  std::erase_if(names, [](const std::string& name) { return !name.ends_with(kGgufExtension); });
  HADAL_ASSIGN(std::vector<std::string> set, whole_set(files, names.front()));
  if (set.size() == names.size()) return set;
  return Error{.code = ErrorCode::kNotFound,
               .what = "the folder holds several models",
               .in = files.place(),
               .want = "one .gguf file, or the shards of one",
               .found = fmt::format("{} .gguf files", names.size()),
               .hint = "name one of the files"};
}

Result<void> check_gguf_shard(const GgufFile& file, std::string_view name, size_t i, size_t n) {
  const GgufValue* count = file.find(kSplitCountKey);
  const int64_t said = count == nullptr ? 1 : count->as_int().value_or(-1);
  // A single file may carry the keys of a set of one or none.
  const bool is_single = n == 1 && (said == 0 || said == 1);
  if (!is_single && said != static_cast<int64_t>(n))
    return wrong_split(name, kSplitCountKey, fmt::format("{}", n), count);
  if (n == 1) return {};
  const GgufValue* number = file.find(kSplitNoKey);
  if (number == nullptr || number->as_int() != static_cast<int64_t>(i))
    return wrong_split(name, kSplitNoKey, fmt::format("{}", i), number);
  return {};
}

Result<void> check_gguf_total(const GgufFile& first, std::string_view name, size_t n_tensors) {
  const GgufValue* total = first.find(kSplitTensorsKey);
  if (total == nullptr || total->as_int() == static_cast<int64_t>(n_tensors)) return {};
  Error error = wrong_split(name, kSplitTensorsKey, fmt::format("{}, the tensors of all shards", n_tensors), total);
  error.what = "shards do not hold the tensors that the first one announces";
  error.hint = "";
  return error;
}

}  // namespace hadal
