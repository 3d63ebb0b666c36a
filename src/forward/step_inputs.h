// The small numbers of a step that kernels read: token ids, angles, page tables, what each token sees, which groups
// become complete. They are laid out on the host and go to the device in one copy, so that a step is launches only.
#pragma once

#include <vector>

#include "device/mirror.h"
#include "forward/rows.h"
#include "model/engram_tables.h"
#include "model/model_description.h"

namespace hadal {

class StepInputs {
 public:
  // engram_classes: [vocab_size], of a model with Engram; outlives the object.
  StepInputs(Device& device, const ModelDescription& description, std::span<const int32_t> engram_classes);

  // Layers that compress alike and rotate alike share numbers: the index into RowSpan::groups, and into Rows::cos_sin.
  size_t kind_of(const LayerDescription& layer) const;
  size_t rope_of(const LayerDescription& layer) const;
  // The index into Rows::engram_rows of a layer with a table.
  size_t engram_of(size_t layer) const;

  // Fills in what is for kernels; valid until the next call, which may come when the device has finished the step.
  // OutOfMemory.
  Result<void> lay_out(StepRows& step);

 private:
  struct Kind {
    int64_t ratio;
    size_t rope;
    bool has_compressor;
  };
  class Layout;

  void lay_out(Rows& rows, Layout& layout) const;
  void lay_out(RowSpan& span, Layout& layout) const;
  void engram_rows_of(const Rows& rows, const EngramTable& table, int32_t* to) const;

  Device& device_;
  int64_t rope_dim_;
  int64_t window_;
  std::vector<RopeDescription> ropes_;     // the distinct ones
  std::vector<std::vector<float>> freqs_;  // of each, [rope_dim / 2]
  std::vector<Kind> kinds_;
  int64_t n_streams_;
  std::vector<EngramTable> engram_tables_;
  std::span<const int32_t> engram_classes_;
  int32_t engram_pad_class_ = 0;
  Mirror memory_;  // as large as the largest step so far
};

}  // namespace hadal
