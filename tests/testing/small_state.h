// A state layout of a few hundred bytes, with every kind of layer, for tests that need no model.
#pragma once

#include <memory>

#include "base/check.h"
#include "state/sequence_state.h"

namespace hadal::test {

inline ModelDescription small_description() {
  ModelDescription d;
  d.family = "small";
  d.vocab_size = 50;
  d.hidden = 8;
  d.hc_mult = 2;
  d.head_dim = 16;
  d.rope_head_dim = 8;
  d.window = 4;
  d.index_head_dim = 32;
  d.index_n_heads = 1;
  d.index_topk = 2;
  d.context_tokens_max = 1000;
  d.layers = {
      {.attention = AttentionKind::kWindow},
      {.attention = AttentionKind::kCsa, .compress_ratio = 4, .compress_overlap = true},
      {.attention = AttentionKind::kHca, .compress_ratio = 128},
  };
  d.mtp_layers = {{.attention = AttentionKind::kWindow}};
  return d;
}

inline std::shared_ptr<const StateLayout> small_layout(NumericMode mode = NumericMode::kFast) {
  const ModelDescription d = small_description();
  StateOptions options = default_state_options(d, mode);
  options.mtp = true;
  Result<StateLayout> layout = StateLayout::create(d, "small", mode, options);
  HADAL_CHECK(layout.ok(), "layout", layout.ok() ? "" : layout.error().to_string());
  return std::make_shared<const StateLayout>(std::move(*layout));
}

// Where such states lie.
inline Device& one_cpu() {
  static CpuDevice cpu({.n_threads = 1});
  return cpu;
}

}  // namespace hadal::test
