// The rows of a step: tokens of all sequences one after the other, each sequence's own together and in order.
#pragma once

#include <algorithm>
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

  // Rows [begin, end) as rows of their own.
  Rows between(int64_t begin, int64_t end) const {
    Rows part{.spans = {},
              .ids = {ids.begin() + begin, ids.begin() + end},
              .positions = {positions.begin() + begin, positions.begin() + end}};
    for (const RowSpan& span : spans) {
      const int64_t first = std::max(begin, span.row0);
      const int64_t last = std::min(end, span.row0 + span.T);
      if (first >= last) continue;
      part.spans.push_back({.state = span.state,
                            .sequence = span.sequence,
                            .row0 = first - begin,
                            .T = last - first,
                            .position0 = span.position0 + first - span.row0});
    }
    return part;
  }
};

}  // namespace hadal
