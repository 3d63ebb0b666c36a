#include "model/model_description.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "base/hash.h"
#include "model/description_fields.h"

namespace hadal {
namespace {

Error out_of_range(std::string_view name, std::string key, std::string want, std::string found) {
  return Error{.code = ErrorCode::kInvalid,
               .what = "config value is out of range",
               .in = fmt::format("{}: {}", name, key),
               .want = std::move(want),
               .found = std::move(found),
               .hint = ""};
}

template <class Number>
Result<void> check_field(const ModelDescription& d, const DescriptionField<Number>& field, std::string_view name) {
  if (!has_part(d, field.part)) return {};
  const Number v = d.*field.member;
  // Written so that NaN is refused.
  if (v >= field.min && v <= field.max) return {};
  return out_of_range(name, field.label(), fmt::format("{} to {}", field.min, field.max), fmt::format("{}", v));
}

Result<void> check_rope(const RopeDescription& rope, const std::string& in) {
  struct Check {
    std::string_view key;
    double value, min, max;
  };
  const Check checks[] = {
      {"rope theta", rope.theta, 1.0, 1e12},
      {"rope factor", rope.factor, 1.0, 1e6},
      {"rope original_max_position_embeddings", static_cast<double>(rope.original_tokens), 0, kContextTokensMax},
      {"rope beta_slow", rope.beta_slow, 1e-6, 1e6},
      {"rope beta_fast", rope.beta_fast, rope.beta_slow, 1e6},
      {"rope mscale_all_dim", rope.mscale_all_dim, 0, 100},
  };
  for (const Check& check : checks) {
    if (check.value >= check.min && check.value <= check.max) continue;
    return out_of_range(in, std::string(check.key), fmt::format("{} to {}", check.min, check.max),
                        fmt::format("{}", check.value));
  }
  return {};
}

Result<void> check_layer(const LayerDescription& layer, const std::string& in) {
  int64_t min = 0;
  int64_t max = 0;
  if (is_mla(layer.attention)) min = max = 1;
  if (has_compressor(layer.attention)) {
    min = 1;
    max = kCompressRatioMax;
  }
  if (layer.compress_ratio < min || layer.compress_ratio > max) {
    return out_of_range(in, "compress_ratios", fmt::format("{} to {}", min, max),
                        fmt::format("{}", layer.compress_ratio));
  }
  return check_rope(layer.rope, in);
}

// What one key says against another.
struct Contradiction {
  bool is_there;
  std::string_view key;
  std::string want;
  int64_t found;
};

Result<void> check_contradictions(const ModelDescription& d, std::string_view name) {
  const bool indexer = has_part(d, ModelPart::kIndexer);
  const bool shared_head = has_part(d, ModelPart::kSharedHead);
  const bool moe = has_part(d, ModelPart::kMoe);
  const int64_t layers = static_cast<int64_t>(d.layers.size() + d.mtp_layers.size());
  // Rows of all layers' caches have one width.
  const bool mla = has_part(d, ModelPart::kMla);
  const bool wide_scales = d.activation_block > 32;
  const bool mixed = shared_head && mla;
  const Contradiction contradictions[] = {
      {mixed, "head_dim", "latents in all layers, or in none", d.head_dim},
      {d.residual == ResidualKind::kPlain && d.hc_mult != 1, "hc_mult", "1: a plain residual has one stream",
       d.hc_mult},
      {moe && d.n_experts_per_token > d.n_routed_experts, "num_experts_per_tok",
       fmt::format("at most n_routed_experts = {}", d.n_routed_experts), d.n_experts_per_token},
      {moe && d.n_routed_experts % d.n_expert_groups != 0, "n_group",
       fmt::format("a divisor of n_routed_experts = {}", d.n_routed_experts), d.n_expert_groups},
      {moe && d.n_limited_groups > d.n_expert_groups, "topk_group",
       fmt::format("at most n_group = {}", d.n_expert_groups), d.n_limited_groups},
      {moe && d.n_experts_per_token > d.n_limited_groups * (d.n_routed_experts / d.n_expert_groups),
       "num_experts_per_tok", fmt::format("at most the experts of topk_group = {} groups", d.n_limited_groups),
       d.n_experts_per_token},
      {shared_head && d.n_heads % d.o_groups != 0, "num_attention_heads",
       fmt::format("a multiple of o_groups = {}", d.o_groups), d.n_heads},
      {d.rope_head_dim % 2 != 0, "qk_rope_head_dim", "an even number: channels turn in pairs", d.rope_head_dim},
      {shared_head && d.rope_head_dim > d.head_dim, "qk_rope_head_dim",
       fmt::format("at most head_dim = {}", d.head_dim), d.rope_head_dim},
      {d.hidden % 8 != 0, "hidden_size", "a multiple of 8: norms take channels by eights", d.hidden},
      {d.q_lora_rank % 8 != 0, "q_lora_rank", "a multiple of 8: norms take channels by eights", d.q_lora_rank},
      {mla && d.qk_nope_head_dim % 8 != 0, "qk_nope_head_dim", "a multiple of 8: heads are rotated by eights",
       d.qk_nope_head_dim},
      {shared_head && d.head_dim % 16 != 0, "head_dim", "a multiple of 16: attention takes channels by sixteens",
       d.head_dim},
      {mla && d.kv_lora_rank % 16 != 0, "kv_lora_rank", "a multiple of 16: attention takes channels by sixteens",
       d.kv_lora_rank},
      {mla && d.rope_head_dim % 16 != 0, "qk_rope_head_dim", "a multiple of 16: attention takes channels by sixteens",
       d.rope_head_dim},
      {indexer && d.index_head_dim % 16 != 0, "index_head_dim", "a multiple of 16: scores take channels by sixteens",
       d.index_head_dim},
      {indexer && d.rope_head_dim > d.index_head_dim, "qk_rope_head_dim",
       fmt::format("at most index_head_dim = {}", d.index_head_dim), d.rope_head_dim},
      {shared_head && !wide_scales && d.head_dim % 32 != 0, "head_dim", "a multiple of 32: channels share scales by 32",
       d.head_dim},
      {indexer && !mla && !wide_scales && d.index_head_dim % 32 != 0, "index_head_dim",
       "a multiple of 32: channels share scales by 32", d.index_head_dim},
      {indexer && mla && (d.index_head_dim < 32 || !std::has_single_bit(static_cast<uint64_t>(d.index_head_dim))),
       "index_head_dim", "a power of two from 32 on: the indexer applies a Hadamard transform", d.index_head_dim},
      {indexer && !mla && wide_scales && !std::has_single_bit(static_cast<uint64_t>(d.index_head_dim)),
       "index_head_dim", "a power of two: the indexer applies a Hadamard transform", d.index_head_dim},
      {d.bos_token_id >= d.vocab_size, "bos_token_id", fmt::format("at most vocab_size - 1 = {}", d.vocab_size - 1),
       d.bos_token_id},
      {d.eos_token_id >= d.vocab_size, "eos_token_id", fmt::format("at most vocab_size - 1 = {}", d.vocab_size - 1),
       d.eos_token_id},
      {d.n_routed_experts * layers > kExpertsTotalMax, "n_routed_experts",
       fmt::format("at most {} in all {} layers together", kExpertsTotalMax, layers), d.n_routed_experts},
  };
  for (const Contradiction& c : contradictions) {
    if (!c.is_there) continue;
    return Error{.code = ErrorCode::kInvalid,
                 .what = "config contradicts itself",
                 .in = fmt::format("{}: {}", name, c.key),
                 .want = c.want,
                 .found = fmt::format("{}", c.found),
                 .hint = ""};
  }
  return {};
}

json::Value rope_to_json(const RopeDescription& rope) {
  json::Value out = json::Value::object();
  out.set("theta", json::Value::number(rope.theta));
  out.set("factor", json::Value::number(rope.factor));
  out.set("original_max_position_embeddings", json::Value::number(rope.original_tokens));
  out.set("beta_fast", json::Value::number(rope.beta_fast));
  out.set("beta_slow", json::Value::number(rope.beta_slow));
  out.set("mscale_all_dim", json::Value::number(rope.mscale_all_dim));
  return out;
}

std::string_view residual_kind_name(ResidualKind kind) {
  switch (kind) {
    case ResidualKind::kPlain:
      return "plain";
    case ResidualKind::kHyperConnections:
      return "hyper_connections";
    case ResidualKind::kLaggedHyperConnections:
      return "lagged_hyper_connections";
  }
  return "unknown";
}

json::Value layers_to_json(const std::vector<LayerDescription>& layers) {
  json::Value out = json::Value::array();
  for (const LayerDescription& layer : layers) {
    json::Value item = json::Value::object();
    item.set("attention", json::Value::string(attention_kind_name(layer.attention)));
    item.set("compress_ratio", json::Value::number(int64_t{layer.compress_ratio}));
    item.set("compress_overlap", json::Value::boolean(layer.compress_overlap));
    item.set("ffn", json::Value::string(layer.ffn == FfnKind::kDense ? "dense" : "moe"));
    item.set("router", json::Value::string(layer.router == RouterKind::kHash ? "hash" : "score"));
    item.set("rope", rope_to_json(layer.rope));
    if (layer.entries_layer >= 0) item.set("entries_layer", json::Value::number(int64_t{layer.entries_layer}));
    if (layer.chosen_layer >= 0) item.set("chosen_layer", json::Value::number(int64_t{layer.chosen_layer}));
    if (layer.candidates != CandidateRole::kNone) {
      item.set("candidates", json::Value::string(layer.candidates == CandidateRole::kMakes ? "makes" : "takes"));
    }
    if (layer.engram_rows > 0) item.set("engram_rows", json::Value::number(layer.engram_rows));
    out.push(std::move(item));
  }
  return out;
}

}  // namespace

double RopeDescription::mscale() const {
  return mscale_all_dim == 0 || factor <= 1 ? 1.0 : 0.1 * mscale_all_dim * std::log(factor) + 1;
}

Result<void> validate(const ModelDescription& d, std::string_view name) {
  for (const IntField& field : int_fields()) HADAL_TRY(check_field(d, field, name));
  for (const RealField& field : real_fields()) HADAL_TRY(check_field(d, field, name));
  const auto n_layers = static_cast<int64_t>(d.layers.size());
  if (n_layers < 1 || n_layers > kLayersMax) {
    return out_of_range(name, "num_hidden_layers (n_layers)", fmt::format("1 to {}", kLayersMax),
                        fmt::format("{}", n_layers));
  }
  if (d.mtp_layers.size() > 1) {
    return Error{.code = ErrorCode::kUnsupported,
                 .what = "model has more than one draft layer",
                 .in = fmt::format("{}: num_nextn_predict_layers (n_mtp_layers)", name),
                 .want = "0 or 1",
                 .found = fmt::format("{}", d.mtp_layers.size()),
                 .hint = ""};
  }
  for (size_t l = 0; l < d.layers.size(); ++l)
    HADAL_TRY(check_layer(d.layers[l], fmt::format("{}, layer {}", name, l)));
  for (const LayerDescription& layer : d.mtp_layers) {
    const std::string in = fmt::format("{}, draft layer", name);
    HADAL_TRY(check_layer(layer, in));
    if (has_compressor(layer.attention) || layer.router != RouterKind::kScore) {
      return out_of_range(in, "compress_ratios", "0: a draft layer compresses nothing",
                          fmt::format("{}", layer.compress_ratio));
    }
  }
  return check_contradictions(d, name);
}

json::Value description_to_json(const ModelDescription& d) {
  json::Value out = json::Value::object();
  out.set("family", json::Value::string(d.family));
  out.set("residual", json::Value::string(residual_kind_name(d.residual)));
  out.set("activation_scale",
          json::Value::string(d.activation_scale == ActivationScale::kFloat ? "float" : "power_of_two"));
  // What most families share is left out: identities of saved states stay what they were.
  if (!d.has_query_norm) out.set("has_query_norm", json::Value::boolean(false));
  if (d.activation_block != 128) out.set("activation_block", json::Value::number(d.activation_block));
  for (const IntField& field : int_fields()) {
    if (has_part(d, field.part)) out.set(field.key, json::Value::number(d.*field.member));
  }
  for (const RealField& field : real_fields()) {
    if (has_part(d, field.part)) out.set(field.key, json::Value::number(d.*field.member));
  }
  out.set("scoring_func", json::Value::string(score_func_name(d.score_func)));
  out.set("bos_token_id", json::Value::number(int64_t{d.bos_token_id}));
  out.set("eos_token_id", json::Value::number(int64_t{d.eos_token_id}));
  out.set("layers", layers_to_json(d.layers));
  out.set("draft_layers", layers_to_json(d.mtp_layers));
  return out;
}

std::string description_identity(const ModelDescription& description) {
  return to_hex(sha256(json::dump(description_to_json(description))));
}

}  // namespace hadal
