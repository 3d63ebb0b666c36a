#include "model/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "formats/gguf/gguf_shards.h"
#include "model/gguf/gguf_config.h"
#include "model/weight_set.h"

namespace hadal {
namespace {

constexpr std::string_view kConfigName = "config.json";
// Published configs have 2 to 4 KB.
constexpr uint64_t kConfigBytesMax = 4 << 20;

// The part of the model that a tensor belongs to, by a piece of its name in any naming; the first row that fits wins.
struct PartRule {
  std::string_view piece;
  std::string_view part;
};
constexpr PartRule kPartRules[] = {
    {"mtp.", "draft layer"},
    {".nextn.", "draft layer"},
    {"shared_experts.", "shared experts"},
    {"_shexp.", "shared experts"},
    {"vision.", "vision"},
    {"aligner.", "vision"},
    {"image_", "vision"},
    {".engram.", "n-gram tables"},
    {".experts.", "routed experts"},
    {"_exps.", "routed experts"},
    {".indexer", "indexer"},
    {"compressor", "compressors"},
    {"hc_", "hyper-connections"},
    {"_hc.", "hyper-connections"},
    {"norm", "norms"},
    {".ffn.gate.", "router"},
    {".mlp.gate.", "router"},
    {".ffn_gate_inp.", "router"},
    {".ffn_gate_tid2eid.", "router"},
    {".exp_probs_b", "router"},
    {"attn.", "attention"},
    {".attn_", "attention"},
    {".ffn.w", "dense networks"},
    {".mlp.", "dense networks"},
    {".ffn_", "dense networks"},
    {"embed", "embedding"},
    {"token_embd.", "embedding"},
    {"head.weight", "head"},
    {"output.weight", "head"},
    {"", "other"},
};

const PartRule& part_of(std::string_view name) {
  return *std::find_if(std::begin(kPartRules), std::end(kPartRules),
                       [&](const PartRule& rule) { return name.find(rule.piece) != std::string_view::npos; });
}

void add_weights(const Checkpoint& checkpoint, InspectReport& report) {
  report.has_weights = true;
  report.n_tensors = checkpoint.tensors().size();
  report.tensor_bytes = checkpoint.tensor_bytes();
  for (const StoredTensor& tensor : checkpoint.tensors()) {
    if (report.shards.empty() || report.shards.back().name != tensor.file) {
      report.shards.push_back({.name = std::string(tensor.file), .n_tensors = 0, .tensor_bytes = 0});
    }
    ++report.shards.back().n_tensors;
    report.shards.back().tensor_bytes += tensor.bytes.size();

    const PartRule& rule = part_of(tensor.name);
    auto group = std::find_if(report.groups.begin(), report.groups.end(),
                              [&](const TensorGroup& g) { return g.part == rule.part && g.dtype == tensor.dtype; });
    if (group == report.groups.end()) {
      group = report.groups.insert(group, {.part = rule.part, .dtype = tensor.dtype, .n_tensors = 0, .bytes = 0});
    }
    ++group->n_tensors;
    group->bytes += tensor.bytes.size();
  }
  std::sort(report.groups.begin(), report.groups.end(), [](const TensorGroup& a, const TensorGroup& b) {
    return std::tuple(b.bytes, a.part, a.dtype) < std::tuple(a.bytes, b.part, b.dtype);
  });
}

Result<ModelDescription> read_description(ModelFiles& files, const Checkpoint* checkpoint) {
  if (checkpoint != nullptr && checkpoint->gguf() != nullptr)
    return parse_gguf_description(*checkpoint->gguf(), checkpoint->tensors(), files.place());
  HADAL_ASSIGN(const std::string_view text, files.text(kConfigName, kConfigBytesMax));
  HADAL_ASSIGN(const json::Value config, json::parse(text, kConfigName));
  return parse_model_config(config, kConfigName);
}

json::Value count(uint64_t n) {
  return json::Value::number(static_cast<int64_t>(n));
}

json::Value error_to_json(const Error& error) {
  json::Value out = json::Value::object();
  out.set("code", json::Value::string(error_code_name(error.code)));
  const std::pair<std::string_view, const std::string*> texts[] = {
      {"what", &error.what}, {"in", &error.in}, {"want", &error.want}, {"found", &error.found}, {"hint", &error.hint}};
  for (const auto& [key, text] : texts) out.set(key, json::Value::string(*text));
  return out;
}

}  // namespace

InspectReport inspect_model(ModelFiles& files, std::optional<Checkpoint>& checkpoint) {
  InspectReport report;
  report.place = files.place();
  Result<Checkpoint> opened = Checkpoint::open(files);
  if (!opened.ok() && is_gguf_model(files)) {
    report.problems.push_back(std::move(opened).error());
    return report;
  }
  if (Result<ModelDescription> description = read_description(files, opened.ok() ? &*opened : nullptr);
      description.ok()) {
    report.description = std::move(description).value();
    report.identity = description_identity(*report.description);
  } else {
    report.problems.push_back(std::move(description).error());
  }
  if (!opened.ok()) {
    report.problems.push_back(std::move(opened).error());
    return report;
  }
  checkpoint = std::move(opened).value();
  add_weights(*checkpoint, report);
  if (!report.description) return report;
  // One shard of many is no model, and none is expected.
  if (!files.only_file().empty() && files.has("model.safetensors.index.json")) return report;
  if (Result<WeightSet> weights = WeightSet::bind(*report.description, *checkpoint); weights.ok()) {
    report.has_draft = weights->has_mtp();
  } else {
    report.problems.push_back(std::move(weights).error());
  }
  return report;
}

json::Value inspect_to_json(const InspectReport& report) {
  json::Value out = json::Value::object();
  out.set("kind", json::Value::string("checkpoint"));
  out.set("place", json::Value::string(report.place));
  out.set("description", report.description ? description_to_json(*report.description) : json::Value());
  out.set("identity", json::Value::string(report.identity));
  out.set("has_draft", json::Value::boolean(report.has_draft));
  out.set("n_tensors", count(report.n_tensors));
  out.set("tensor_bytes", count(report.tensor_bytes));
  json::Value shards = json::Value::array();
  for (const ShardSummary& shard : report.shards) {
    json::Value item = json::Value::object();
    item.set("name", json::Value::string(shard.name));
    item.set("n_tensors", count(shard.n_tensors));
    item.set("tensor_bytes", count(shard.tensor_bytes));
    shards.push(std::move(item));
  }
  out.set("shards", std::move(shards));
  json::Value groups = json::Value::array();
  for (const TensorGroup& group : report.groups) {
    json::Value item = json::Value::object();
    item.set("part", json::Value::string(group.part));
    item.set("dtype", json::Value::string(dtype_name(group.dtype)));
    item.set("n_tensors", count(group.n_tensors));
    item.set("bytes", count(group.bytes));
    groups.push(std::move(item));
  }
  out.set("groups", std::move(groups));
  json::Value problems = json::Value::array();
  for (const Error& problem : report.problems) problems.push(error_to_json(problem));
  out.set("problems", std::move(problems));
  return out;
}

json::Value tensors_to_json(const Checkpoint& checkpoint) {
  json::Value out = json::Value::array();
  for (const StoredTensor& tensor : checkpoint.tensors()) {
    json::Value shape = json::Value::array();
    for (const int64_t size : tensor.shape) shape.push(json::Value::number(size));
    json::Value item = json::Value::object();
    item.set("name", json::Value::string(tensor.name));
    item.set("dtype", json::Value::string(dtype_name(tensor.dtype)));
    item.set("shape", std::move(shape));
    item.set("bytes", count(tensor.bytes.size()));
    item.set("file", json::Value::string(tensor.file));
    item.set("offset", count(tensor.file_offset));
    out.push(std::move(item));
  }
  return out;
}

json::Value metadata_to_json(const Checkpoint& checkpoint) {
  if (checkpoint.gguf() == nullptr) return json::Value();
  json::Value out = json::Value::object();
  for (const auto& [key, value] : checkpoint.gguf()->metadata) out.set(key, json::Value::string(value.shown()));
  return out;
}

}  // namespace hadal
