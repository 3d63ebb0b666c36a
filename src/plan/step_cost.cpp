#include "plan/step_cost.h"

#include <algorithm>

#include "ops/linear/linear.h"

namespace hadal {
namespace {

void visit_layer(const LayerWeights& l, const std::function<void(MatrixUse, const Weight&)>& visit) {
  if (!l.engram.table.empty()) visit(MatrixUse::kEngramTable, l.engram.table);
  for (const Weight* w : {&l.engram.wkv,
                          &l.attn_hc.fn,
                          &l.wq_a,
                          &l.wq_b,
                          &l.wkv,
                          &l.wo_a,
                          &l.wo_b,
                          &l.compressor.wkv,
                          &l.compressor.wgate,
                          &l.indexer.wq_b,
                          &l.indexer.weights_proj,
                          &l.indexer.compressor.wkv,
                          &l.indexer.compressor.wgate,
                          &l.ffn_hc.fn,
                          &l.gate,
                          &l.shared.w1,
                          &l.shared.w3,
                          &l.shared.w2,
                          &l.wkv_a,
                          &l.wkv_b,
                          &l.wo,
                          &l.indexer.wk,
                          &l.dense.w1,
                          &l.dense.w3,
                          &l.dense.w2}) {
    if (!w->empty()) visit(MatrixUse::kOther, *w);
  }
  for (const ExpertWeights& e : l.experts) {
    for (const Weight* w : {&e.w1, &e.w3, &e.w2}) visit(MatrixUse::kExpert, *w);
  }
}

// Matrices of a layer that make keys, and what leads there.
bool makes_keys(const LayerWeights& l, const Weight& w) {
  const Weight* const keys[] = {&l.engram.wkv,
                                &l.attn_hc.fn,
                                &l.wkv,
                                &l.compressor.wkv,
                                &l.compressor.wgate,
                                &l.indexer.compressor.wkv,
                                &l.indexer.compressor.wgate,
                                &l.wkv_a,
                                &l.indexer.wk};
  return std::any_of(std::begin(keys), std::end(keys), [&](const Weight* key) { return key == &w; });
}

// Entries that attention reads of those that a token sees.
int64_t entries_attended(const ModelDescription& d, const LayerDescription& layer, int64_t visible) {
  return has_indexer(layer.attention) ? std::min(visible, d.index_topk) : visible;
}

// Entries whose index keys are read to choose those.
int64_t entries_scored(const ModelDescription& d, const LayerDescription& layer, int64_t visible) {
  if (!layer.chooses_entries()) return 0;
  if (layer.candidates != CandidateRole::kTakes) return visible;
  return std::min(visible, d.candidate_topk_blocks * d.candidate_block_size);
}

int64_t entries_visible(const LayerDescription& layer, int64_t position) {
  return layer.compress_ratio == 0 ? 0 : (position + 1) / layer.compress_ratio;
}

}  // namespace

void for_each_matrix(const ModelWeights& weights, bool mtp,
                     const std::function<void(MatrixUse, const Weight&)>& visit) {
  visit(MatrixUse::kEmbedding, weights.embed);
  visit(MatrixUse::kHead, weights.head);
  if (!weights.head_hc.fn.empty()) visit(MatrixUse::kOther, weights.head_hc.fn);
  for (const LayerWeights& layer : weights.layers) visit_layer(layer, visit);
  for (const MtpWeights& draft : weights.mtp) {
    if (!mtp) break;
    visit_layer(draft.block, visit);
    for (const Weight* w : {&draft.e_proj, &draft.h_proj, &draft.eh_proj, &draft.head_hc.fn}) {
      if (!w->empty()) visit(MatrixUse::kOther, *w);
    }
  }
}

WeightBytes weight_bytes(const ModelWeights& weights, bool mtp) {
  WeightBytes bytes;
  for_each_matrix(weights, mtp, [&bytes](MatrixUse use, const Weight& w) {
    uint64_t& part = use == MatrixUse::kExpert        ? bytes.experts
                     : use == MatrixUse::kEngramTable ? bytes.engram_tables
                                                      : bytes.others;
    part += static_cast<uint64_t>(w.bytes());
  });
  return bytes;
}

void StepCost::Elements::add(const Weight& w) {
  const double n = static_cast<double>(w.rows) * static_cast<double>(w.cols);
  all += n;
  if (ops::is_met_in_int8(w.dtype)) int8 += n;
}

StepCost::StepCost(const ModelDescription& description, const ModelWeights& weights, const StateLayout& layout)
    : description_(description), layout_(layout) {
  embedding_row_bytes_ = static_cast<uint64_t>(weights.embed.row_bytes());
  uint64_t n_expert_matrices = 0;
  for_each_matrix(weights, false, [&](MatrixUse use, const Weight& w) {
    const auto bytes = static_cast<uint64_t>(w.bytes());
    switch (use) {
      case MatrixUse::kEmbedding:
      case MatrixUse::kEngramTable:
        break;
      case MatrixUse::kHead:
        head_bytes_ += bytes;
        head_elements_.add(w);
        break;
      case MatrixUse::kExpert:
        ++n_expert_matrices;
        expert_bytes_ += static_cast<double>(bytes);
        expert_elements_.add(w);
        break;
      case MatrixUse::kOther:
        dense_bytes_ += bytes;
        dense_elements_.add(w);
        break;
    }
  });
  visit_layer(weights.layers.back(), [&](MatrixUse use, const Weight& w) {
    if (use != MatrixUse::kOther || makes_keys(weights.layers.back(), w)) return;
    last_dense_bytes_ += static_cast<uint64_t>(w.bytes());
    last_dense_elements_.add(w);
  });
  // Three matrices make an expert.
  const double n_experts = static_cast<double>(std::max<uint64_t>(3, n_expert_matrices)) / 3;
  expert_bytes_ /= n_experts;
  expert_elements_.all /= n_experts;
  expert_elements_.int8 /= n_experts;
}

uint64_t StepCost::experts_per_token() const {
  const auto n_moe = std::count_if(description_.layers.begin(), description_.layers.end(),
                                   [](const LayerDescription& layer) { return layer.ffn == FfnKind::kMoe; });
  return static_cast<uint64_t>(n_moe * description_.n_experts_per_token);
}

uint64_t StepCost::state_bytes_read(const StepShape& shape) const {
  const int64_t last = shape.position + shape.tokens - 1;
  const int64_t window_rows = std::clamp<int64_t>(description_.window - 1, 0, shape.position);
  int64_t bytes = 0;
  for (const LayerDescription& layer : description_.layers) {
    const int64_t visible = entries_visible(layer, last);
    bytes += (window_rows + entries_attended(description_, layer, visible)) * layout_.kv_row_bytes;
    bytes += entries_scored(description_, layer, visible) * layout_.index_row_bytes;
  }
  return static_cast<uint64_t>(bytes);
}

uint64_t StepCost::bytes(const StepShape& shape) const {
  const auto sequences = static_cast<uint64_t>(shape.sequences);
  return dense_bytes_ + (shape.logits > 0 ? head_bytes_ : 0) - (shape.logits > 0 ? 0 : last_dense_bytes_) +
         sequences * (static_cast<uint64_t>(shape.tokens) * embedding_row_bytes_ + state_bytes_read(shape)) +
         static_cast<uint64_t>(expert_bytes_ * static_cast<double>(shape.experts_chosen));
}

double StepCost::attention_flops(const LayerDescription& layer, int64_t position) const {
  const ModelDescription& d = description_;
  const int64_t visible = entries_visible(layer, position);
  const int64_t window_rows = is_mla(layer.attention) ? 0 : std::min(position + 1, d.window);
  const int64_t rows = window_rows + entries_attended(d, layer, visible);
  // A row is met by queries with all its channels, and summed with those of the value.
  const int64_t channels = is_mla(layer.attention) ? d.kv_row_dim() + d.kv_lora_rank : 2 * d.head_dim;
  double flops = 2.0 * static_cast<double>(d.n_heads * channels * rows);
  flops += 2.0 * static_cast<double>(d.index_n_heads * d.index_head_dim * entries_scored(d, layer, visible));
  return flops;
}

double StepCost::matrix_flops(const StepShape& shape, double Elements::*part) const {
  const LayerDescription& last = description_.layers.back();
  const int64_t logits_each = std::min(shape.tokens, shape.logits / shape.sequences);
  const double experts_each = last.ffn == FfnKind::kMoe ? static_cast<double>(description_.n_experts_per_token) : 0;
  const double per_token = dense_elements_.*part + expert_elements_.*part * static_cast<double>(experts_per_token());
  const double of_last = last_dense_elements_.*part + expert_elements_.*part * experts_each;
  const double each =
      per_token * static_cast<double>(shape.tokens) - of_last * static_cast<double>(shape.tokens - logits_each);
  return 2 * (static_cast<double>(shape.sequences) * each + head_elements_.*part * static_cast<double>(shape.logits));
}

double StepCost::flops(const StepShape& shape) const {
  const LayerDescription& last = description_.layers.back();
  const int64_t logits_each = std::min(shape.tokens, shape.logits / shape.sequences);
  double attention = 0;  // of one sequence
  for (int64_t t = 0; t < shape.tokens; ++t) {
    for (const LayerDescription& layer : description_.layers) {
      const bool is_needed = &layer != &last || t >= shape.tokens - logits_each;
      if (is_needed) attention += attention_flops(layer, shape.position + t);
    }
  }
  return static_cast<double>(shape.sequences) * attention + matrix_flops(shape, &Elements::all);
}

double StepCost::int8_flops(const StepShape& shape) const {
  return matrix_flops(shape, &Elements::int8);
}

}  // namespace hadal
