// What a step must read and compute at the very least: the numerators of "share of the limit".
//
// Bytes: every matrix that is applied, once, as it is stored; one row of the embedding table per token; the routed
// experts that were chosen by some token of the step, once each; the window rows, entries and index keys that the past
// left. Activations, scratch and what a step writes are not counted: they are the implementation's affair.
// Of the last layer, tokens without logits need their keys alone. Operations: a multiply-add counts as two. Matrices
// and attention are counted, norms, rope and Sinkhorn are not: below one percent in every released geometry.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "model/model_description.h"
#include "model/weight_set.h"
#include "state/state_layout.h"

namespace hadal {

enum class MatrixUse { kEmbedding, kHead, kExpert, kEngramTable, kOther };

// Calls visit(use, matrix) for every matrix of the model; those of the draft layer only when `mtp`.
void for_each_matrix(const ModelWeights& weights, bool mtp, const std::function<void(MatrixUse, const Weight&)>& visit);

// Bytes of all matrices, by what the plan does with them.
struct WeightBytes {
  uint64_t experts = 0;  // routed
  uint64_t engram_tables = 0;
  uint64_t others = 0;
};
WeightBytes weight_bytes(const ModelWeights& weights, bool mtp);

// One step of some sequences that all stand at the same position and take the same number of tokens.
struct StepShape {
  int64_t sequences = 1;
  int64_t tokens = 1;           // of each
  int64_t position = 0;         // of the first token: so many tokens are already there
  int64_t logits = 1;           // rows of the head, all sequences together: the last ones of each sequence
  uint64_t experts_chosen = 0;  // different (layer, expert) pairs that the tokens of the step use
};

class StepCost {
 public:
  StepCost(const ModelDescription& description, const ModelWeights& weights, const StateLayout& layout);

  uint64_t bytes(const StepShape& shape) const;
  double flops(const StepShape& shape) const;
  // Of those, what fast mode computes in 8-bit integers on a CPU: FP4 and block types (ops/linear/linear.h).
  double int8_flops(const StepShape& shape) const;

  // (layer, expert) pairs that one token uses.
  uint64_t experts_per_token() const;

 private:
  uint64_t state_bytes_read(const StepShape& shape) const;                        // of one sequence
  double attention_flops(const LayerDescription& layer, int64_t position) const;  // of one token

  const ModelDescription& description_;
  const StateLayout& layout_;
  uint64_t dense_bytes_ = 0;       // applied to every token, without head
  uint64_t last_dense_bytes_ = 0;  // of them only for logits
  uint64_t head_bytes_ = 0;
  uint64_t embedding_row_bytes_ = 0;
  double expert_bytes_ = 0;  // of one routed expert, the mean over all
  struct Elements {
    double all = 0;
    double int8 = 0;
    void add(const Weight& w);
  };
  double matrix_flops(const StepShape& shape, double Elements::*part) const;  // all sequences together

  Elements dense_elements_;
  Elements last_dense_elements_;
  Elements head_elements_;
  Elements expert_elements_;
};

}  // namespace hadal
