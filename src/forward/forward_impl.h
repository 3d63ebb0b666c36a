// The inside of ForwardPass: one method per part of the model, each in the file of its name.
#pragma once

#include <vector>

#include "forward/forward_pass.h"
#include "forward/rows.h"
#include "forward/workspace.h"
#include "ops/linear/linear.h"

namespace hadal {

// Activations that several linears read: packed once per rounding that is asked for. All share the workspace's buffers,
// so one is used up before the next is packed.
class Activations {
 public:
  Activations(Device& device, const Workspace& workspace, const float* x, int64_t T, int64_t K, int64_t groups = 1)
      : device_(device), workspace_(workspace), x_(x), T_(T), K_(K), groups_(groups) {}

  const ops::PackedRows& rounded(ops::ActivationRounding rounding);

 private:
  Device& device_;
  const Workspace& workspace_;
  const float* x_;
  int64_t T_, K_, groups_;
  ops::PackedRows packed_[5];  // by rounding
};

struct ForwardPass::Impl {
  Device& device;
  const ModelDescription& description;
  const ModelWeights& weights;
  ForwardOptions options;
  Buffer memory;
  Workspace workspace;
  std::vector<RopeDescription> ropes;          // the distinct ones
  std::vector<std::vector<float>> rope_freqs;  // [ropes][rope_dim / 2]

  // forward_pass.cpp
  Result<void> run(std::span<const SequenceStep> steps, StepObserver& observer);
  void fill_cos_sin(const Rows& rows);
  const float* cos_sin_of(const RopeDescription& rope) const;
  const std::vector<float>& freqs_of(const RopeDescription& rope) const;
  // The rounding of activations in front of a stored matrix in this mode.
  ops::ActivationRounding rounding_for(const Weight& weight) const;
  void apply(const Weight& weight, Activations& x, float* y, int64_t y_stride);
  // RMSNorm of rows [rows, width] that follow each other; without a gain when it is empty. y may be x.
  void norm_rows(const float* x, Vector gain, float* y, int64_t rows, int64_t width);
  Result<void> block(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
                     const Rows& rows, float* streams, StepObserver& observer);
  // What later tokens need of these rows in this layer, and nothing else.
  void remember(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
                const Rows& rows, const float* streams);

  // residual.cpp: streams -> a sublayer's input [T, C], valid until the next call; workspace.sublayer_out -> streams;
  // streams -> one stream
  const float* enter_sublayer(const MhcWeights& hc, const float* streams, int64_t T);
  void leave_sublayer(float* streams, int64_t T);
  void collapse_head(const MhcWeights& hc, const float* streams, int64_t T, float* out);

  // attention.cpp, mla.cpp: in [T, C] -> workspace.sublayer_out
  void attention(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
                 const Rows& rows, const float* in, StepObserver& observer);
  void latent_attention(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
                        const Rows& rows, const float* in, StepObserver& observer);
  void store_latents(size_t layer, const Rows& rows);
  void attend_latents(size_t layer, const LayerDescription& layer_description, const RowSpan& span,
                      StepObserver& observer);
  void latent_keys(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
                   const Rows& rows, Activations& x);
  void window_keys(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
                   const Rows& rows, Activations& x);
  void store_keys(size_t layer, const Rows& rows);
  void attend(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
              const RowSpan& span, StepObserver& observer);
  void store_window(size_t layer, const RowSpan& span, int64_t first_row_position);

  // indexer.cpp: head weights and queries of new tokens; keys of positions (kDsa); the entries that a span's tokens
  // choose
  void index_weights(const IndexerWeights& indexer, int64_t T, Activations& x);
  void index_queries(const IndexerWeights& indexer, const LayerDescription& layer_description, const Rows& rows,
                     Activations& latent);
  void store_index_keys(size_t layer, const LayerDescription& layer_description, const IndexerWeights& indexer,
                        const Rows& rows, Activations& x);
  void choose_entries(size_t layer, const RowSpan& span, StepObserver& observer);

  // compressor.cpp
  void compress(const CompressorWeights& compressor_weights, const RopeDescription& rope, size_t layer, bool is_index,
                const Rows& rows, Activations& x);

  // feed_forward.cpp: in [T, C] -> workspace.sublayer_out
  Result<void> feed_forward(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
                            const Rows& rows, const float* in, StepObserver& observer);
  Result<void> route(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
                     const Rows& rows, Activations& x, StepObserver& observer);
  void experts(const LayerWeights& layer_weights, int64_t T, Activations& x);
  void dense_network(const LayerWeights& layer_weights, int64_t T, Activations& x);

  // head.cpp
  void head(const MhcWeights& hc, Vector norm, const std::vector<const float*>& streams, const float** logits_rows,
            size_t n);
  void logits_of(const Rows& rows, std::span<const SequenceStep> steps, StepObserver& observer);

  // draft.cpp
  Result<void> draft(const Rows& rows, std::span<const SequenceStep> steps, StepObserver& observer);
};

}  // namespace hadal
