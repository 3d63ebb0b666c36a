// General categories of Unicode as ranges, first letter only: what \p{L} .. \p{Z} of the pre-tokenizers mean.
//
// Unicode 15.0. The reference tokenizer uses the tables of its own regex library, of about that version; two versions
// differ only in code points that the older one does not assign.
#pragma once

#include <cstdint>
#include <span>

namespace hadal::tokenizer {

struct CategoryRange {
  uint32_t first;  // code points, both included
  uint32_t last;
  char category;  // 'L', 'M', 'N', 'P', 'S' or 'Z'; what no range covers is 'C'
};

// Sorted, without overlap.
std::span<const CategoryRange> category_ranges();

}  // namespace hadal::tokenizer
