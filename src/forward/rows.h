// The rows of a step: tokens of all sequences one after the other, each sequence's own together and in order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "state/sequence_state.h"

namespace hadal {

// Groups of positions that the tokens of a span complete, for layers of one kind (step_inputs.h). Pointers are for
// kernels.
struct SpanGroups {
  int64_t n = 0;
  const int64_t* slots = nullptr;    // [n] numbers of the groups: their rows in pages
  const float* cos_sin = nullptr;    // [n, rope_dim] at their first positions; of layers with a compressor
  const int64_t* visible = nullptr;  // [T] complete groups that a token sees
  int64_t visible_max = 0;
};

struct RowSpan {
  SequenceState* state = nullptr;
  size_t sequence = 0;    // index into the steps
  int64_t row0 = 0;       // first row of this sequence
  int64_t T = 0;          // its rows
  int64_t position0 = 0;  // position of row0

  // For kernels, from StepInputs.
  const std::byte* const* pages = nullptr;  // the sequence's page table
  const int64_t* window_begin = nullptr;    // [T] first row that a token sees of those that ops::window_rows makes
  const int64_t* window_n = nullptr;        // [T]
  std::vector<SpanGroups> groups = {};      // by kind of layer
};

struct Rows {
  std::vector<RowSpan> spans = {};
  std::vector<int32_t> ids = {};        // [T]
  std::vector<int64_t> positions = {};  // [T]
  int64_t begin = 0;                    // where they begin among the rows that they are a part of

  // For kernels, from StepInputs.
  const int32_t* ids_there = nullptr;            // [T]
  std::vector<const float*> cos_sin = {};        // by rope: [T, rope_dim]
  const float* ones = nullptr;                   // [T]
  const int32_t* zeros = nullptr;                // [T]
  const float* first_stream = nullptr;           // [T, hc_mult]: 1, 0, 0, ...
  std::vector<const int32_t*> engram_rows = {};  // by table: [T, engram_rows_per_token]

  int64_t T() const { return static_cast<int64_t>(ids.size()); }

  // Rows [first, last) as rows of their own, without what is for kernels.
  Rows between(int64_t first, int64_t last) const {
    Rows part{.ids = {ids.begin() + first, ids.begin() + last},
              .positions = {positions.begin() + first, positions.begin() + last},
              .begin = first};
    for (const RowSpan& span : spans) {
      const int64_t from = std::max(first, span.row0);
      const int64_t to = std::min(last, span.row0 + span.T);
      if (from >= to) continue;
      part.spans.push_back({.state = span.state,
                            .sequence = span.sequence,
                            .row0 = from - first,
                            .T = to - from,
                            .position0 = span.position0 + from - span.row0});
    }
    return part;
  }
};

// The rows of one layer: it leaves out the first ones, which nobody will ask for, remembers some (their keys and
// entries) and computes the rest, to the last row of the step. Places in StepRows::parts.
struct LayerRows {
  int64_t begin = 0;  // first row that it takes
  std::optional<size_t> remembered;
  std::optional<size_t> computed;
};

struct StepRows {
  std::vector<Rows> parts;        // the first one is all rows
  std::vector<LayerRows> layers;  // of the trunk
  Rows draft;                     // of the draft layer

  const Rows& all() const { return parts.front(); }
};

}  // namespace hadal
