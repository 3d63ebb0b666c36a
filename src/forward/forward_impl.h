// The inside of ForwardPass: one method per part of the model, each in the file of its name.
#pragma once

#include <functional>
#include <vector>

#include "device/mirror.h"
#include "forward/forward_pass.h"
#include "forward/rows.h"
#include "forward/step_inputs.h"
#include "forward/workspace.h"
#include "ops/linear/linear.h"
#include "ops/rms_norm/rms_norm.h"

namespace hadal {

// Activations that several linears read: packed once per rounding that is asked for. All share the workspace's buffers,
// so one is used up before the next is packed.
class Activations {
 public:
  Activations(Device& device, const Workspace& workspace, const float* x, int64_t T, int64_t K, int64_t groups = 1)
      : device_(device), workspace_(workspace), x_(x), T_(T), K_(K), groups_(groups) {}

  const ops::PackedRows& rounded(ops::ActivationRounding rounding);
  // Room for the rows of this rounding where who makes x can pack them beside it; rounded() finds them then. Without
  // data where that is left to rounded().
  ops::PackedRows packed_beside(ops::ActivationRounding rounding);
  void show(const Weight& weight, InputObserver& observer) const;

 private:
  Device& device_;
  const Workspace& workspace_;
  const float* x_;
  int64_t T_, K_, groups_;
  ops::PackedRows packed_[ops::kActivationRoundings];
};

// A row whose logits somebody wants, and its streams [n, C] behind the last layer.
struct WantedLogits {
  size_t sequence;
  int64_t position;
  const float* streams;
  const float* mix;  // [n], how lagging hyper-connections read them; null: there are none
};
using EmitLogits = std::function<void(const WantedLogits& row, std::span<const float> logits)>;

// What the host gets of a step: the place of the first logit of a router that is no finite number, then logits
// [logits_rows, V].
inline constexpr int64_t kLogitsOffset = 64;
inline int64_t results_bytes(const ModelDescription& description, const Device::Shape& device) {
  return kLogitsOffset + logits_rows(device) * description.vocab_size * static_cast<int64_t>(sizeof(float));
}

// draft.cpp: the rows that the tokens of a step complete.
Rows draft_rows(const Rows& trunk);

struct ForwardPass::Impl {
  Device& device;
  const ModelDescription& description;
  const ModelWeights& weights;
  ForwardOptions options;
  Buffer memory;
  Workspace workspace;
  StepInputs inputs;
  Mirror results;

  // So many spans as the device takes together (ops/batch.h), one part after the other.
  std::vector<std::span<const RowSpan>> batches_of(const Rows& rows) const;

  // forward_pass.cpp
  Result<void> run(std::span<const SequenceStep> steps, StepObserver& observer);
  // The rounding of activations in front of a stored matrix in this mode.
  ops::ActivationRounding rounding_for(const Weight& weight) const;
  // The same in front of gate and up, which read one packing: floats where the two ask for different ones.
  ops::ActivationRounding rounding_for(const ExpertWeights& expert) const;
  void apply(const Weight& weight, Activations& x, float* y, int64_t y_stride);
  // RMSNorm of rows [rows, width] that follow each other; without a gain when it is empty. y may be x.
  void norm_rows(const float* x, Vector gain, float* y, int64_t rows, int64_t width);
  ops::RmsNorm norm_of(const float* x, Vector gain, float* y, int64_t rows, int64_t width,
                       const ops::PackedRows& packed) const;
  // The same into activations that matrices of this rounding will read.
  Activations normed(const float* x, Vector gain, float* y, int64_t rows, int64_t width,
                     ops::ActivationRounding rounding);
  // Matrices that read the same activations, all at once.
  struct Product {
    const Weight& weight;
    float* y;
    int64_t y_stride;
  };
  void apply(std::span<const Product> products, Activations& x);
  Result<void> block(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
                     const Rows& rows, float* streams, StepObserver& observer);
  // What later tokens need of these rows in this layer, and nothing else.
  // Tables, remembered and computed rows of one layer of the trunk.
  Result<void> trunk_layer(size_t layer, const StepRows& step, StepObserver& observer);
  Result<void> observe_streams(size_t layer, const Rows& rows, const float* row_streams, StepObserver& observer) const;
  void remember(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
                const Rows& rows, const float* streams);

  // residual.cpp: streams -> a sublayer's normed input [T, C] in workspace.normed, which matrices of this rounding will
  // read; workspace.sublayer_out -> streams; streams -> one stream, normed into workspace.head_normed
  Activations enter_sublayer(const MhcWeights& hc, Vector gain, ops::ActivationRounding rounding, const float* streams,
                             const Rows& rows);
  void leave_sublayer(float* streams, const Rows& rows);
  Activations collapse_head(const MhcWeights& hc, Vector gain, const float* streams, const float* mix, int64_t T,
                            float* collapsed);

  // engram.cpp
  void engram(size_t layer, const EngramWeights& engram_weights, const Rows& all, int64_t begin, float* streams);

  // attention.cpp, mla.cpp: x [T, C], normed -> workspace.sublayer_out
  Result<void> attention(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
                         const Rows& rows, Activations& x, StepObserver& observer);
  Result<void> latent_attention(size_t layer, const LayerDescription& layer_description,
                                const LayerWeights& layer_weights, const Rows& rows, Activations& x,
                                StepObserver& observer);
  void store_latents(size_t layer, const LayerDescription& layer_description, const Rows& rows);
  Result<void> attend_latents(size_t layer, const LayerDescription& layer_description, const Rows& rows,
                              const RowSpan& span, StepObserver& observer);
  void latent_keys(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
                   const Rows& rows, Activations& x);
  // The matrices that make them; those of CSA2 entries are make_shared_entries' own.
  std::vector<Product> key_products(size_t layer, const LayerDescription& layer_description,
                                    const LayerWeights& layer_weights, const StateLayout& layout);
  void window_keys(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
                   const Rows& rows, Activations& x);
  enum class WindowOut { kNone, kWorkspace };
  std::vector<const std::byte*> store_keys(size_t layer, std::span<const RowSpan> spans, WindowOut out);
  Result<void> attend(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
                      const Rows& rows, std::span<const RowSpan> spans, StepObserver& observer);

  // indexer.cpp: queries of new tokens; keys of positions (kDsa); the entries that the tokens of some spans choose
  void index_queries(const IndexerWeights& indexer, const LayerDescription& layer_description, const Rows& rows,
                     Activations& latent);
  void store_index_keys(size_t layer, const LayerDescription& layer_description, const IndexerWeights& indexer,
                        const Rows& rows, Activations& x);
  Result<void> choose_entries(size_t layer, const LayerDescription& layer_description, const Rows& rows,
                              std::span<const RowSpan> spans, StepObserver& observer);
  Result<void> observe_choice(size_t layer, const LayerDescription& layer_description, const Rows& rows,
                              const RowSpan& span, StepObserver& observer) const;

  // compressor.cpp: what key_products left in the compressor's buffers -> entries in the states
  void compress(const CompressorWeights& compressor_weights, const LayerDescription& layer_description, size_t layer,
                bool is_index, const Rows& rows);
  // The pooled and normed groups of some spans, at most ops::ops_of_batch, into workspace.entries, rotated unless
  // kLatent. Returns how many there are.
  enum class Pooled { kLatent, kRotated };
  int64_t pool_groups(const CompressorWeights& compressor_weights, const CompressorLayout& layout, size_t kind,
                      const float* k, const float* z, std::span<const RowSpan> spans, Pooled pooled);

  // shared_entries.cpp: entries and index keys of CSA2
  void make_shared_entries(const LayerWeights& layer_weights, const LayerDescription& layer_description, size_t layer,
                           const Rows& rows, Activations& x);

  // feed_forward.cpp: x [T, C], normed -> workspace.sublayer_out
  Result<void> feed_forward(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
                            const Rows& rows, Activations& x, StepObserver& observer);
  Result<void> route(size_t layer, const LayerDescription& layer_description, const LayerWeights& layer_weights,
                     const Rows& rows, Activations& x, StepObserver& observer);
  void experts(const LayerWeights& layer_weights, int64_t T, Activations& x);
  void dense_network(const LayerWeights& layer_weights, const Rows& rows, Activations& x);
  // feed_forward_inputs.cpp: x [T, C], when the step is done with its packed activations
  void observe_experts(const LayerWeights& layer_weights, int64_t T, const float* x);
  void observe_network(const ExpertWeights& network, const float* x, int64_t T);
  Result<void> check_finite(const Rows& rows) const;
  Result<void> check_finite(const StepRows& step) const;
  int64_t not_finite_place() const;
  int64_t layer_of_place(int64_t place) const;

  // head.cpp: the logits of wanted rows, a tile at a time. Waits for the step, also when nothing is wanted, and says
  // what went wrong in it.
  Result<void> logits_of(const StepRows& step, const MhcWeights& hc, Vector norm, std::span<const WantedLogits> wanted,
                         const EmitLogits& emit);
  void head(const MhcWeights& hc, Vector norm, std::span<const WantedLogits> wanted);

  // draft.cpp
  Result<void> draft(const StepRows& step, std::span<const SequenceStep> steps, StepObserver& observer);
  void gather_draft_streams(const Rows& trunk);
};

}  // namespace hadal
