// Where everything of a sequence's past lies: computed once per model and options, pure arithmetic.
//
//   page (page_tokens positions, append-only)      tail (changes in place)
//   +--------------------------------------+       +------------------------------------------------------+
//   | token ids [page_tokens] int32, saved |       | per layer: window ring [window rows]                 |
//   | per layer with entries:              |       | per overlapping compressor: the last whole group's   |
//   |   entries    [page_tokens / ratio]   |       |   first-half K and Z rows                            |
//   |   index keys [page_tokens / ratio]   |       | draft layer: streams of the last position            |
//   +--------------------------------------+       +---- checkpoint_bytes: all there is at a page border --+
//                                                  | per compressor: K and Z rows of the unfinished group |
//                                                  +------------------------------------------------------+
//
// With MLA every position leaves one entry, its latent: there is no window and no compressor, and without a draft layer
// no tail.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "model/model_description.h"
#include "model/numeric_mode.h"
#include "ops/kv_rows/kv_rows.h"

namespace hadal {

struct StateOptions {
  ops::KvFormat kv_format = ops::KvFormat::kF32;
  ops::KvFormat index_format = ops::KvFormat::kF32;
  ops::KvRounding kv_rounding = ops::KvRounding::kNone;     // of window rows and latents, before they are stored
  ops::KvRounding entry_rounding = ops::KvRounding::kNone;  // of compressed entries, before they are stored
  ops::KvRounding index_rounding = ops::KvRounding::kNone;  // of index keys, before they are stored
  bool mtp = false;                                         // also keep what the draft layer needs
};

// How FP8 rows of a model's cache are published: with latents V3.2's layout, else V4's.
ops::KvFormat fp8_format(const ModelDescription& description);

// What a mode uses unless told otherwise: exact keeps floats, published rounds and keeps floats (so that nothing but
// the listed roundings happens), fast stores the published layouts.
StateOptions default_state_options(const ModelDescription& description, NumericMode mode);

// One compressor's rows: `width` = coff * d channels of K and of Z, floats.
struct CompressorLayout {
  int64_t ratio = 0;
  int64_t coff = 1;
  int64_t d = 0;
  // Offsets into the tail. Previous group: [ratio, d] K then Z (only with overlap); pending: [ratio - 1, coff d] K, Z.
  int64_t previous_offset = -1;
  int64_t pending_offset = -1;

  int64_t width() const { return coff * d; }
  bool overlaps() const { return coff == 2; }
};

// Layers that share entries and index keys have the offsets of the layer that makes them.
struct LayerLayout {
  int64_t window_offset = -1;  // into the tail: [window, kv_row_bytes]; -1: no window
  // Layers with entries only (rows_per_page > 0); offsets into a page.
  int64_t rows_per_page = 0;
  int64_t entries_offset = -1;
  int64_t index_offset = -1;  // -1: no indexer
  CompressorLayout compressor;
  CompressorLayout index_compressor;
};

struct StateLayout {
  StateOptions options;
  std::string identity;  // of model, mode and options: a saved state is refused when it differs
  int64_t page_tokens = 128;
  int64_t page_bytes = 0;
  int64_t tail_bytes = 0;
  int64_t checkpoint_bytes = 0;  // the front part of the tail
  int64_t window = 0;            // rows of a ring
  int64_t kv_row_bytes = 0;
  int64_t index_row_bytes = 0;
  int64_t mtp_streams_offset = -1;  // into the tail; -1 without a draft layer
  int64_t mtp_streams_floats = 0;
  int64_t context_tokens_max = 0;
  int64_t vocab_size = 0;
  std::vector<LayerLayout> layers;  // trunk, then the draft layer when options.mtp

  // `model_identity` names weights and description. Limit when ratios ask for pages above 4096 tokens.
  static Result<StateLayout> create(const ModelDescription& description, std::string_view model_identity,
                                    NumericMode mode, const StateOptions& options);

  // Pages hold everything: a sequence can go back to any length.
  bool is_append_only() const { return tail_bytes == 0; }

  // Bytes of a state of `tokens` tokens with `checkpoints` kept tails.
  uint64_t state_bytes(int64_t tokens, int64_t checkpoints) const;
};

}  // namespace hadal
