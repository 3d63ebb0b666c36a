// Which number type each tensor of a converted model gets: mixes that people know, as data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"

namespace hadal {

// What a matrix does, as far as its type depends on it.
enum class MatrixRole {
  kExpertIn,   // gate and up of routed experts
  kExpertOut,  // down of routed experts
  kDense,      // attention, shared experts, dense networks
  kEmbedding,
  kHead,
  kSmall,   // compressors, the indexer's head weights: BF16 in the release, and few
  kExact,   // router, hyper-connections: they decide what is computed and stay F32
  kLatent,  // the halves of MLA's wkv_b, whose rows are short
};

// A mix by the name that --type takes.
struct TypeMix {
  std::string_view name;
  std::string_view what;  // a line for --help
  uint32_t file_type;     // general.file_type: a hint for other readers
  DType dense;
  DType expert_in;
  DType expert_out;
  DType embedding;
  DType head;
  DType small;
};
const std::vector<TypeMix>& type_mixes();
const TypeMix* find_type_mix(std::string_view name);  // or null

// The type for a matrix with rows of that length: the mix's, or where the row is no whole number of its blocks the
// nearest type of blocks of 32 that is not coarser by much (Q8_0 for Q5_K and more, Q4_0 below), else BF16.
DType type_of(const TypeMix& mix, MatrixRole role, int64_t cols);

}  // namespace hadal
