// The model as calls of ops: tokens of several sequences in, logits out, states moved on. Written once for all models
// and devices: it reads the ModelDescription and never asks which model or device it is.
//
// A token's numbers depend on its own sequence only: not on the chunk it came in, not on what else is in the batch, not
// on threads. Ops guarantee that; this class only has to feed each sequence's rows in order.
#pragma once

#include <memory>
#include <span>

#include "base/result.h"
#include "device/device.h"
#include "forward/input_observer.h"
#include "model/model_description.h"
#include "model/numeric_mode.h"
#include "model/weight_set.h"
#include "state/sequence_state.h"

namespace hadal {

// The next tokens of one sequence.
struct SequenceStep {
  SequenceState* state = nullptr;
  std::span<const int32_t> ids;        // at least one
  std::span<const int64_t> logits_at;  // positions among the new ones, ascending
  std::span<const int64_t>
      mtp_logits_at;  // positions whose next token is known after this step, ascending; draft layer
};

// Gets what a step computes, in the thread that runs it. Spans are valid during the call only. `sequence` is the index
// into the steps; positions are absolute.
class StepObserver {
 public:
  virtual ~StepObserver() = default;

  virtual void logits(size_t sequence, int64_t position, std::span<const float> logits) = 0;  // [vocab_size]
  virtual void mtp_logits(size_t /*sequence*/, int64_t /*position*/, std::span<const float> /*logits*/) {}

  // The rest is asked for by comparisons only.
  virtual bool wants_layers() const { return false; }
  // Also the last layer of rows whose logits nobody asked for.
  virtual bool wants_all_rows() const { return wants_layers(); }
  // Residual streams after a layer: x [T, hc_mult, hidden] of T tokens from first_position on.
  virtual void streams(size_t /*sequence*/, size_t /*layer*/, int64_t /*first_position*/, int64_t /*T*/,
                       const float* /*x*/) {}
  // experts, weights [T, n_experts_per_token], ascending expert ids.
  virtual void experts(size_t /*sequence*/, size_t /*layer*/, int64_t /*first_position*/, int64_t /*T*/,
                       const int32_t* /*experts*/, const float* /*weights*/) {}
  // The entries chosen for one position, ascending, and the scores of all visible ones: minus infinity for those that
  // are no candidates.
  virtual void index(size_t /*sequence*/, size_t /*layer*/, int64_t /*position*/, std::span<const int32_t> /*chosen*/,
                     std::span<const float> /*scores*/) {}
};

struct ForwardOptions {
  NumericMode mode = NumericMode::kFast;
  int64_t tokens_max = 512;         // of one step, all sequences together
  int64_t context_tokens = 4096;    // longest sequence: sizes the attention's scratch
  bool mtp = false;                 // states keep the draft layer's past; needs its weights
  bool has_blocks = false;          // some matrices are of GGUF's block types (WeightSet::has_block_types)
  bool wants_scores = false;        // index scores of all visible entries are kept for observers
  InputObserver* inputs = nullptr;  // gets what matrices meet; only on a device that shares the host's memory
};

class ForwardPass {
 public:
  // Allocates the workspace; later only the small numbers of a step may grow. Weights are where the device reads them
  // (model/device_weights.h). Device, description and weights must outlive the pass, and states lie on the same device.
  // OutOfMemory; Unsupported for a draft layer of latent attention.
  static Result<ForwardPass> create(Device& device, const ModelDescription& description, const ModelWeights& weights,
                                    const ForwardOptions& options);
  static uint64_t workspace_bytes(const ModelDescription& description, const ForwardOptions& options,
                                  const Device::Shape& device);

  ForwardPass(ForwardPass&&) noexcept;
  ForwardPass& operator=(ForwardPass&&) noexcept;
  ~ForwardPass();

  const ForwardOptions& options() const;

  // Runs one step and commits the tokens to the states. Errors leave every state as it was before the step in length,
  // but its tail may have changed: truncate to a checkpoint before going on. Limit (context, too many tokens),
  // OutOfMemory, Corrupt when activations are not numbers (names the layer).
  Result<void> run(std::span<const SequenceStep> steps, StepObserver& observer);

 private:
  struct Impl;
  explicit ForwardPass(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal
