// The rows of a step: tokens of all sequences one after the other, each sequence's own together and in order.
#pragma once

#include <cstdint>
#include <vector>

#include "state/sequence_state.h"

namespace hadal {

struct RowSpan {
  SequenceState* state = nullptr;
  size_t sequence = 0;    // index into the steps
  int64_t row0 = 0;       // first row of this sequence
  int64_t T = 0;          // its rows
  int64_t position0 = 0;  // position of row0
};

struct Rows {
  std::vector<RowSpan> spans;
  std::vector<int32_t> ids;        // [T]
  std::vector<int64_t> positions;  // [T]
  int64_t T() const { return static_cast<int64_t>(ids.size()); }
};

}  // namespace hadal
