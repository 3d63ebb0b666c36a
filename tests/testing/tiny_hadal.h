// A config of Hadal's own family with the smallest sizes that every block takes: four layers of 64 channels. Weights
// are made up (model/synth.h).
#pragma once

#include <initializer_list>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "testing/checkpoint_builder.h"

namespace hadal::test {

// A key and its JSON; "-" takes the key out.
using ConfigChange = std::pair<std::string_view, std::string_view>;

inline void change(json::Value& config, const ConfigChange& c) {
  if (c.second == "-") {
    std::erase_if(config.members(), [&](const json::Member& m) { return m.first == c.first; });
  } else {
    config.set(std::string(c.first), must(json::parse(std::string(c.second), "value")));
  }
}

// The blocks of the announced system (geometry "seed") with a plain feed-forward network in the first layer. Keys of
// blocks that it does not use, V4's attention, are there as well: one key switches.
inline json::Value tiny_hadal(std::initializer_list<ConfigChange> changes = {}) {
  json::Value config = must(json::parse(R"({
    "model_type": "hadal", "hadal_version": 1, "bos_token_id": 0, "eos_token_id": 1, "vocab_size": 512,
    "hidden_size": 64, "num_hidden_layers": 4, "max_position_embeddings": 2048,
    "attention": "mla_dsa", "num_attention_heads": 4, "q_lora_rank": 32, "kv_lora_rank": 32, "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 16, "v_head_dim": 16, "index_n_heads": 2, "index_head_dim": 32, "index_topk": 24,
    "rope_theta": 10000,
    "rope_scaling": {"type": "yarn", "factor": 16, "original_max_position_embeddings": 128, "mscale": 1.0,
                     "mscale_all_dim": 1.0},
    "head_dim": 64, "o_groups": 2, "o_lora_rank": 32, "sliding_window": 16, "compress_ratios": [0, 4, 8, 4],
    "compress_rope_theta": 160000,
    "ffn": ["dense", "moe", "moe", "moe"], "intermediate_size": 96, "moe_intermediate_size": 32,
    "n_routed_experts": 8, "num_experts_per_tok": 2, "n_group": 4, "topk_group": 2, "routed_scaling_factor": 2.5,
    "residual": "mhc", "hc_schedule": "next",
    "engram_layer_ids": [1], "engram_vocab_size": 97, "engram_max_ngram_size": 3, "engram_n_heads": 2,
    "engram_head_dim": 32, "engram_pad_token_id": 2, "engram_compressed_vocab_size": 389,
    "engram_num_embeddings": [408],
    "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "scale_fmt": "ue8m0",
                            "weight_block_size": [32, 32]}
  })",
                                        "tiny hadal"));
  for (const ConfigChange& c : changes) change(config, c);
  return config;
}

}  // namespace hadal::test
