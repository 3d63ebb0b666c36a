// The weights of a model under one naming, wherever and however the checkpoint stores them.
//
// Matrices stay where they are mapped and as they are stored. Small vectors are widened to float and expert tables to
// int32 once, when the set is bound. Binding checks that every tensor the description asks for is there with the right
// shape and type, that nothing is left over, and that what is small enough to read (vectors, scales, tables) is finite
// and in range.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "device/tensor.h"
#include "formats/checkpoint.h"
#include "model/model_description.h"

namespace hadal {

struct MhcWeights {
  Weight fn;     // [(2 + n) n, n hidden] of a sublayer, [n, n hidden] of a head
  Vector scale;  // [3] (pre, post, comb) or [1]
  Vector base;   // [(2 + n) n] or [n]
};

struct CompressorWeights {
  Weight wkv;    // [coff d, hidden]
  Weight wgate;  // [coff d, hidden]
  Vector ape;    // [ratio, coff d]
  Vector norm;   // [d]
};

struct IndexerWeights {
  Weight wq_b;                   // [index_n_heads index_head_dim, q_lora_rank]
  Weight weights_proj;           // [index_n_heads, hidden]
  CompressorWeights compressor;  // kCsa: keys of entries
  Weight wk;                     // kDsa: keys of positions [index_head_dim, hidden]; kCsa2: of entries, from
                                 // their latents [index_head_dim, head_dim]
  Vector k_norm, k_norm_bias;    // kDsa: LayerNorm of the keys [index_head_dim]; kCsa2: RMSNorm, no bias
};

// Looked up before a layer, by hashes of the last tokens (model/engram_tables.h).
struct EngramWeights {
  Weight table;  // [engram_rows, engram_head_dim]; read a row at a time
  Weight wkv;    // [(hc_mult + 1) hidden, engram_rows_per_token engram_head_dim]: a key per stream, the value
  Vector q_weight, k_weight;  // [hc_mult, hidden]
};

struct LayerWeights {
  EngramWeights engram;
  MhcWeights attn_hc;
  Vector attn_norm;  // [hidden]
  Weight wq_a;       // [q_lora_rank, hidden]
  Vector q_norm;     // [q_lora_rank]
  Weight wq_b;       // [n_heads head_dim, q_lora_rank]; of MLA [n_heads qk_head_dim, q_lora_rank]
  Vector kv_norm;    // [head_dim]; of MLA [kv_lora_rank]
  // With a window.
  Weight wkv;                    // [head_dim, hidden]
  Vector attn_sink;              // [n_heads]
  Weight wo_a;                   // [o_groups o_lora_rank, n_heads head_dim / o_groups]
  Weight wo_b;                   // [hidden, o_groups o_lora_rank]
  CompressorWeights compressor;  // kCsa, kHca; kCsa2 without ape, and without wgate for ratio 1
  IndexerWeights indexer;        // kCsa, kDsa, kCsa2
  // MLA.
  Weight wkv_a;  // [kv_lora_rank + rope_head_dim, hidden]
  Weight wkv_b;  // [n_heads (qk_nope_head_dim + v_head_dim), kv_lora_rank]; per head W_UK, then W_UV
  Weight wo;     // [hidden, n_heads v_head_dim]

  MhcWeights ffn_hc;
  Vector ffn_norm;                   // [hidden]
  ExpertWeights dense;               // kDense only: one network of width inter_dim
  Weight gate;                       // [n_routed_experts, hidden]
  Vector gate_bias;                  // [n_routed_experts]; kScore only
  std::span<const int32_t> tid2eid;  // [vocab_size, n_experts_per_token]; kHash only
  ExpertWeights shared;
  std::vector<ExpertWeights> experts;  // [n_routed_experts]; kMoe only

  // What ops::moe mixes: the experts, or the one network of a dense layer.
  std::span<const ExpertWeights> networks() const {
    return experts.empty() ? std::span(&dense, 1) : std::span<const ExpertWeights>(experts);
  }
  const ExpertWeights* networks_on_device = nullptr;  // the same where kernels read them (model/device_weights.h)
};

struct MtpWeights {
  LayerWeights block;
  Weight e_proj, h_proj;      // [hidden, hidden]; with hyper-connections
  Weight eh_proj;             // [hidden, 2 hidden]: both side by side; with a plain residual
  Vector enorm, hnorm, norm;  // [hidden]
  MhcWeights head_hc;
};

struct ModelWeights {
  Weight embed;  // [vocab_size, hidden]
  Weight head;   // [vocab_size, hidden]
  Vector norm;   // [hidden]
  MhcWeights head_hc;
  std::vector<LayerWeights> layers;
  std::vector<MtpWeights> mtp;
  std::span<const int32_t> engram_classes;  // [vocab_size] of a model with Engram (model/engram_token_map.h)
};

class WeightSet {
 public:
  // Finds every tensor of the description under the official or the transformers names. The checkpoint must outlive
  // the set. A checkpoint without draft layers binds with an empty mtp list, and the description's mtp_layers is then
  // to be cleared by the caller (has_mtp()).
  // Errors: NotFound (missing tensor), Invalid (extra, mis-shaped or mis-typed tensor; each with want and found),
  // Corrupt (NaN in scales or vectors, expert ids out of range).
  // Tensors of the vision tower of V4.1 are left alone: n_skipped_vision() says how many.
  static Result<WeightSet> bind(const ModelDescription& description, const Checkpoint& checkpoint);

  // The token map that a model with Engram hashes with, [vocab_size]: before the weights are computed with.
  void set_engram_classes(std::vector<int32_t> classes);

  WeightSet(WeightSet&&) noexcept;
  WeightSet& operator=(WeightSet&&) noexcept;
  ~WeightSet();

  const ModelWeights& weights() const;
  bool has_mtp() const;
  int64_t n_skipped_vision() const;
  bool has_block_types() const;   // some matrices are stored in GGUF's blocks
  uint64_t owned_bytes() const;   // widened vectors and tables
  uint64_t mapped_bytes() const;  // tensors used where they are mapped

 private:
  struct Impl;
  explicit WeightSet(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// One tensor that a description asks for, with its name in each naming: for `inspect`, `plan` and `synth`.
struct ExpectedTensor {
  std::string official_name;
  std::string transformers_name;  // empty when that naming does not have it
  std::string published_name;     // the one in the published checkpoint
  std::vector<int64_t> shape;     // logical (FP4 not halved)
  enum class Kind {
    kMatrix,
    kExpertMatrix,
    kBf16Matrix,
    kF32Matrix,
    kBf16Vector,
    kF32Vector,
    kTable,
    kEngramTable
  } kind;
};
std::vector<ExpectedTensor> expected_tensors(const ModelDescription& description);

}  // namespace hadal
