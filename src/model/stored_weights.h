// One stored tensor -> what an op takes: a Weight where it is mapped, a Vector widened to float, a table of int32.
//
// Everything that is read here is checked: types, shapes, scales' tiles, finite numbers, expert ids in range. Matrices
// are not read (inspect.h does that on request); they are copied only when a file puts them at an odd address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "device/tensor.h"
#include "formats/stored_tensor.h"
#include "model/tensor_names.h"

namespace hadal {

// The memory behind what could not stay where it is mapped. Spans stay valid while it lives, also when it is moved.
class OwnedNumbers {
 public:
  std::span<float> floats(size_t n);
  std::span<int32_t> ints(size_t n);
  // A copy at an address that every number type may have.
  const std::byte* aligned_copy(std::span<const std::byte> bytes);

  uint64_t bytes() const { return bytes_; }

 private:
  template <class Number>
  std::span<Number> allocate(size_t n);

  std::vector<std::unique_ptr<std::byte[]>> blocks_;
  uint64_t bytes_ = 0;
};

struct MatrixRules {
  // Tile of FP8 scales that the config announces; 0: the shapes decide between the known ones.
  int64_t block_rows = 0;
  int64_t block_cols = 0;
  bool reads_scales = true;  // refuse NaN in scales
  // Rows that are used as matrices of their own begin at multiples of this; 0: all rows are one matrix.
  int64_t slice_rows = 0;
  bool has_split_rows = false;  // [G, R, C] does for [G * R, C], as some GGUF files have it
};

bool needs_scale(const StoredTensor& tensor);

// A matrix of shape [rows, cols], or a stack [E, rows, cols] as one matrix of E * rows rows. `scale` is null when there
// is none. Errors: Invalid (shape, type, tiles), NotFound (no scales), Unsupported (unknown tiles), Corrupt (NaN).
Result<Weight> read_matrix(const StoredTensor& tensor, const StoredTensor* scale, const TensorShape& shape,
                           const MatrixRules& rules, OwnedNumbers& owned);

// Widened, and taken out of blocks. Errors: Invalid (shape, type), Corrupt (NaN or infinity).
Result<Vector> read_vector(const StoredTensor& tensor, const TensorShape& shape, OwnedNumbers& owned);

// [vocab_size, k] expert ids, k different ones in a row. Errors: Invalid (shape, type), Corrupt (out of range, twice).
Result<std::span<const int32_t>> read_expert_table(const StoredTensor& tensor, const TensorShape& shape,
                                                   int64_t n_experts, OwnedNumbers& owned);

// Element i of a float tensor (F32, F16, BF16) at any address.
float stored_float(const StoredTensor& tensor, int64_t i);

}  // namespace hadal
