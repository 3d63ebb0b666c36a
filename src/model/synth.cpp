#include "model/synth.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "base/threads.h"
#include "formats/out_folder.h"
#include "formats/safetensors.h"
#include "model/description_fields.h"
#include "model/engram_tables.h"
#include "model/engram_token_map.h"
#include "model/geometry.h"

namespace hadal {
namespace {

// Two of these are in memory: one is filled while the other is written. Large enough that a disk streams.
constexpr size_t kBlockBytes = size_t{8} << 20;
constexpr size_t kWordBytes = 8;

constexpr std::string_view kGenerationConfig =
    R"({"bos_token_id": 0, "do_sample": true, "eos_token_id": 1, "temperature": 1.0, "top_p": 1.0})";

// The bytes of a shard's tensors, cut into blocks.
class BlockSource {
 public:
  explicit BlockSource(const std::vector<ProceduralTensor>& tensors) : tensors_(tensors) {}

  // Fills the block; empty at the end.
  void next(std::vector<std::byte>& block) {
    block.resize(kBlockBytes);
    size_t n = 0;
    while (i_tensor_ < tensors_.size()) {
      const uint64_t left = tensors_[i_tensor_].stored.bytes() - offset_;
      // A cut inside a tensor is at a whole word.
      const size_t space = (kBlockBytes - n) / kWordBytes * kWordBytes;
      const size_t size = left <= kBlockBytes - n ? static_cast<size_t>(left) : space;
      fill_procedural(tensors_[i_tensor_], offset_, std::span(block).subspan(n, size));
      n += size;
      offset_ += size;
      if (size < left) break;
      ++i_tensor_;
      offset_ = 0;
    }
    block.resize(n);
  }

 private:
  const std::vector<ProceduralTensor>& tensors_;
  size_t i_tensor_ = 0;
  uint64_t offset_ = 0;  // in that tensor
};

Error cancelled(const fs::path& folder) {
  return Error{.code = ErrorCode::kCancelled,
               .what = "cancelled",
               .in = folder.string(),
               .want = "",
               .found = "",
               .hint = "nothing was left there"};
}

std::string shard_header(const SynthPlan::Shard& shard) {
  std::vector<TensorToWrite> headers;
  for (const ProceduralTensor& tensor : shard.tensors) headers.push_back(tensor.stored);
  const std::pair<std::string, std::string> format{"format", "pt"};
  return safetensors_header(headers, std::span(&format, 1));
}

json::Value index_of(const SynthPlan& plan) {
  json::Value metadata = json::Value::object();
  metadata.set("total_size", json::Value::number(static_cast<int64_t>(plan.tensor_bytes)));
  json::Object map;
  for (const SynthPlan::Shard& shard : plan.shards) {
    for (const ProceduralTensor& tensor : shard.tensors) {
      map.emplace_back(tensor.stored.name, json::Value::string(shard.name));
    }
  }
  json::Value index = json::Value::object();
  index.set("metadata", std::move(metadata));
  index.set("weight_map", json::Value::object(std::move(map)));
  return index;
}

// The widest numbers first, as the format's own writer lays them out: then every tensor begins at a multiple of its
// number's size and can be used where it is mapped.
void order_by_width(std::vector<ProceduralTensor>& tensors) {
  std::vector<ProceduralTensor> ordered;
  ordered.reserve(tensors.size());
  for (const int bits : {64, 32, 16, 8}) {
    for (ProceduralTensor& tensor : tensors) {
      if (dtype_bits(tensor.stored.dtype) == bits) ordered.push_back(std::move(tensor));
    }
  }
  HADAL_CHECK(ordered.size() == tensors.size(), "a type of another width", ordered.size(), tensors.size());
  tensors = std::move(ordered);
}

// Numbers are made in one thread while the block before is written in the other.
Result<void> write_shard(const SynthPlan::Shard& shard, AtomicFile& file, ThreadPool& pool,
                         const std::function<Result<void>(uint64_t)>& report) {
  HADAL_TRY(file.write(shard_header(shard)));
  BlockSource source(shard.tensors);
  std::vector<std::byte> written, filled;
  source.next(filled);
  while (!filled.empty()) {
    std::swap(written, filled);
    Result<void> result;
    pool.run(2, [&](int64_t task) {
      if (task == 0) {
        result = file.write(written);
      } else {
        source.next(filled);
      }
    });
    HADAL_TRY(std::move(result));
    HADAL_TRY(report(written.size()));
  }
  return file.commit();
}

// V4.1's config has the language model in a part of its own.
json::Value& text_of(json::Value& config) {
  for (json::Member& member : config.members()) {
    if (member.first == "text_config") return member.second;
  }
  return config;
}

// Whether so few suffice for the router is a question for parse_model_config.
Result<void> cut_experts(json::Value& config, int64_t experts) {
  const int64_t all = config.find("n_routed_experts")->as_int().value_or(0);
  if (experts < 0 || experts > all) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "geometry does not have that many experts",
                 .in = "--experts",
                 .want = fmt::format("1 to {}", all),
                 .found = fmt::format("{}", experts),
                 .hint = ""};
  }
  if (experts > 0) config.set("n_routed_experts", json::Value::number(experts));
  return {};
}

// Tables from the primes behind engram_vocab on: a table of the release alone is larger than most disks.
Result<void> cut_engram(json::Value& config, int64_t engram_vocab) {
  if (engram_vocab == 0) return {};
  const auto integer = [&](std::string_view key) {
    const json::Value* value = config.find(key);
    return value == nullptr ? 0 : value->as_int().value_or(0);
  };
  const int64_t all = integer("engram_vocab_size");
  if (engram_vocab < 2 || engram_vocab > all) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "geometry does not have n-gram tables of that size",
                 .in = "--engram-vocab",
                 .want = all == 0 ? "nothing: it has no tables" : fmt::format("2 to {}", all),
                 .found = fmt::format("{}", engram_vocab),
                 .hint = ""};
  }
  std::vector<int64_t> layers;
  for (const json::Value& item : config.find("engram_layer_ids")->items()) layers.push_back(*item.as_int());
  const EngramSizes sizes{.vocab_size = engram_vocab,
                          .max_ngram = integer("engram_max_ngram_size"),
                          .n_heads = integer("engram_n_heads"),
                          .n_classes = integer("engram_compressed_vocab_size")};
  json::Value rows = json::Value::array();
  for (const EngramTable& table : engram_tables(sizes, layers)) rows.push(json::Value::number(table.rows));
  config.set("engram_vocab_size", json::Value::number(engram_vocab));
  config.set("engram_num_embeddings", std::move(rows));
  return {};
}

// Classes in turn: as many as the release has, of tokens that have nothing in common.
std::string made_up_token_map(const ModelDescription& d) {
  std::vector<int32_t> classes;
  for (int64_t t = 0; t < d.vocab_size; ++t) classes.push_back(static_cast<int32_t>(t % d.engram_n_classes));
  return engram_token_map_text(classes);
}

}  // namespace

Result<SynthPlan> plan_synth(const SynthOptions& options) {
  HADAL_ASSIGN(json::Value config, geometry_config(options.geometry, options.layers, options.has_draft));
  HADAL_TRY(cut_experts(text_of(config), options.experts));
  HADAL_TRY(cut_engram(text_of(config), options.engram_vocab));
  return plan_synth(std::move(config), geometry_format(options.geometry), options.shard_bytes_max);
}

Result<SynthPlan> plan_synth(json::Value config, const PublishedFormat& format, uint64_t shard_bytes_max) {
  SynthPlan plan;
  plan.config = std::move(config);
  HADAL_ASSIGN(plan.description, parse_model_config(plan.config, "config.json"));
  for (const ExpectedTensor& expected : expected_tensors(plan.description)) {
    for (ProceduralTensor& tensor : procedural_tensors(expected, plan.description, format)) {
      const uint64_t bytes = tensor.stored.bytes();
      const bool is_full = plan.shards.empty() || plan.shards.back().tensor_bytes + bytes > shard_bytes_max;
      if (is_full) plan.shards.emplace_back();
      plan.shards.back().tensors.push_back(std::move(tensor));
      plan.shards.back().tensor_bytes += bytes;
      plan.tensor_bytes += bytes;
      ++plan.n_tensors;
    }
  }
  for (size_t i = 0; i < plan.shards.size(); ++i) {
    order_by_width(plan.shards[i].tensors);
    plan.shards[i].name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, plan.shards.size());
  }
  return plan;
}

Result<void> write_synth(const SynthPlan& plan, const fs::path& folder, const SynthProgress& progress) {
  // Headers, index and the file system's own tables: well below 1 %.
  HADAL_ASSIGN(OutFolder out, OutFolder::create(folder, plan.tensor_bytes + plan.tensor_bytes / 100));
  ThreadPool pool(2);
  uint64_t done = 0;
  const auto report = [&](uint64_t bytes) -> Result<void> {
    done += bytes;
    if (progress && !progress(done, plan.tensor_bytes)) return cancelled(folder);
    return {};
  };
  for (const SynthPlan::Shard& shard : plan.shards) {
    HADAL_ASSIGN(AtomicFile file, out.file(shard.name));
    HADAL_TRY(write_shard(shard, file, pool, report));
  }
  HADAL_TRY(out.write_text("config.json", json::dump_pretty(plan.config) + "\n"));
  HADAL_TRY(out.write_text("generation_config.json", std::string(kGenerationConfig) + "\n"));
  if (has_part(plan.description, ModelPart::kEngram)) {
    HADAL_TRY(out.write_text(std::string(kEngramTokenMapFile), made_up_token_map(plan.description)));
  }
  if (!plan.tokenizer_json.empty()) HADAL_TRY(out.write_text("tokenizer.json", plan.tokenizer_json));
  HADAL_TRY(out.write_text("model.safetensors.index.json", json::dump_pretty(index_of(plan)) + "\n"));
  out.keep();
  return {};
}

}  // namespace hadal
