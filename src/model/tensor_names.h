// The tensors of a checkpoint: what each is called in every naming, its shape, and the member it fills.
//
// One row per tensor, so that the namings can be read side by side and a new one is a new column. The official names
// are those of the inference code, in which V4 is also published; V3 and V3.2 are published under transformers' names.
// Sources: headers of the published checkpoints, module names of transformers' deepseek_v3, deepseek_v32 and
// deepseek_v4, what the releases' convert.py renames, and llama.cpp v0.5.0 (src/llama-arch.cpp) for GGUF.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/model_description.h"
#include "model/weight_set.h"

namespace hadal {

// A size of a tensor as a formula of the description.
struct Dim {
  std::string_view formula;  // in the config's words: "num_attention_heads * head_dim"
  int64_t (*value)(const ModelDescription& d, const LayerDescription& layer);
};
using Dims = std::array<const Dim*, 2>;  // the second is null for one axis

// Which layers (and models) have the tensor.
enum class Presence {
  kAlways,
  kSharedHead,      // window, CSA, HCA and CSA2
  kCompressed,      // with entries of their own
  kCompressorGate,  // of those, groups of more than one position
  kCompressorBias,  // CSA and HCA
  kCsa,
  kCsa2Choice,  // CSA2 that chooses entries
  kCsa2Keys,    // CSA2 with entries of its own
  kMla,         // with and without an indexer
  kDsa,
  kMoe,
  kHashRouter,
  kScoreRouter,
  kDense,
  kHyperConnections,
  kStreamsOwnCollapse,  // the head has hyper-connections of its own
  kPlainResidual,
  kEngram,
};
bool is_present(Presence presence, const ModelDescription& d, const LayerDescription& layer);

// The function from an owner to the member that a tensor fills.
template <class Owner>
using Slot = std::variant<Weight& (*)(Owner&), Vector& (*)(Owner&), std::span<const int32_t>& (*)(Owner&)>;

// Names stand behind the owner's place ("layers.3.", "mtp.0."; transformers has "model." before it). An empty name says
// that this naming does not have the tensor.
template <class Owner>
struct TensorRow {
  std::string_view official;
  std::string_view transformers;
  std::string_view variant;  // V3's spelling, or an older one of transformers
  std::string_view gguf;     // behind "blk.3."; several spellings are parted by |
  ExpectedTensor::Kind kind;
  Dims dims;
  Presence presence;
  Slot<Owner> slot;
};

std::span<const TensorRow<ModelWeights>> model_rows();    // names in full
std::span<const TensorRow<LayerWeights>> layer_rows();    // of trunk and draft layers
std::span<const TensorRow<MtpWeights>> mtp_rows();        // what a draft layer has beside the layer's
std::span<const TensorRow<ExpertWeights>> expert_rows();  // names hold {e}; see with_expert()

// V3 and V3.2 are published under transformers' names (the third spelling where there is one), V4 under the official
// ones.
bool is_published_as_transformers(const ModelDescription& d);

// What a draft layer's names begin with: "mtp.0." in V4, "layers.61.", behind the trunk, in V3.
std::string draft_prefix(const ModelDescription& d, size_t draft);

// "blk.3."; draft layers are numbered behind the trunk's.
std::string gguf_layer_prefix(size_t layer);

// "blk.3.", "a.weight|b.weight" -> "blk.3.a.weight", "blk.3.b.weight"; the first that is there counts.
std::vector<std::string> gguf_names(std::string_view prefix, std::string_view spellings);

// "ffn.experts.{e}.w1.weight", 7 -> "ffn.experts.7.w1.weight"
std::string with_expert(std::string_view name, int64_t expert);

// The sizes that a description asks for, and how they come about ("head_dim x hidden_size").
struct TensorShape {
  std::vector<int64_t> sizes;
  std::string formula;
  std::string_view source = "config.json";  // where the numbers of the formula are from, for messages

  // "head_dim x hidden_size, from config.json"
  std::string explained(std::string_view packing = "") const {
    return formula + std::string(packing) + ", from " + std::string(source);
  }

  static TensorShape of(const Dims& dims, const ModelDescription& d, const LayerDescription& layer);
};

// transformers keeps the experts of a layer in two tensors of three axes:
//   mlp.experts.gate_up_proj  [E, 2 moe_inter_dim, hidden]   w1 in the first half of an expert's rows, w3 in the second
//   mlp.experts.down_proj     [E, hidden, moe_inter_dim]     w2
struct StackedExperts {
  std::string_view name;
  Dims dims;  // of one expert
  int parts;  // equal blocks of rows, one per member
  std::array<Weight ExpertWeights::*, 2> members;
};
std::span<const StackedExperts> stacked_experts();
// GGUF stacks them by matrix; some files hold gate and up in one tensor.
std::span<const StackedExperts> gguf_experts();
std::span<const StackedExperts> gguf_fused_experts();

// GGUF keeps the halves of wkv_b apart; older files have attn_kv_b.weight instead.
inline constexpr std::string_view kGgufLatents = "attn_kv_b.weight";
inline constexpr std::string_view kGgufLatentKeys = "attn_k_b.weight";    // [n_heads, kv_lora_rank, qk_nope_head_dim]
inline constexpr std::string_view kGgufLatentValues = "attn_v_b.weight";  // [n_heads, v_head_dim, kv_lora_rank]

}  // namespace hadal
