// Importance matrices: how much each channel of a matrix is used, so that a quantiser errs where it costs least.
//
// For every matrix the mean square of what its columns meet, over a text (engine/importance_collector.h). Files are
// those of llama.cpp's llama-imatrix (tools/imatrix/imatrix.cpp of v0.5.0), in both directions: a GGUF file of
// general.type "imatrix" with two F32 tensors per matrix or stack of experts,
//   NAME.in_sum2  [n_matrices, cols]   sums of squares
//   NAME.counts   [n_matrices, 1]      rows that were summed
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/io.h"
#include "base/result.h"

namespace hadal {

struct TensorImportance {
  int64_t cols = 0;
  std::vector<float> sums;    // [n_matrices, cols]
  std::vector<float> counts;  // [n_matrices]; 0: no token met this expert

  size_t n_matrices() const { return counts.size(); }
};

struct ImportanceMatrix {
  std::map<std::string, TensorImportance, std::less<>> tensors;  // by GGUF name
  int64_t n_chunks = 0;
  int64_t chunk_tokens = 0;

  // Mean squares of matrix i of a tensor; empty when nothing is known. Invalid when the file's sizes are not those of
  // the tensor: it was made for another model.
  Result<std::vector<float>> mean_squares(std::string_view tensor, size_t i, size_t n_matrices, int64_t cols) const;
};

// Errors: NotFound, Io, those of parse_gguf; Corrupt (a tensor without its counts, other types or shapes, sums that are
// negative or no numbers); Unsupported (the older format, imatrix.dat).
Result<ImportanceMatrix> read_importance(const fs::path& path);

// Written beside the name and renamed. Errors: Io.
Result<void> write_importance(const ImportanceMatrix& matrix, const fs::path& path);

}  // namespace hadal
