#include "model/stored_weights.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <optional>

#include "base/blocks/block_codec.h"
#include "base/format.h"

namespace hadal {
namespace {

// Tiles of FP8 scales: V3 and V4, and V4.1.
constexpr std::array<int64_t, 2> kTileSizes = {128, 32};
// FP4 in the published checkpoints: one scale per 32 columns of a row.
constexpr int64_t kFp4ScaleCols = 32;
constexpr uint8_t kE8M0NaN = 0xFF;

Error bad_tensor(ErrorCode code, std::string what, const StoredTensor& tensor, std::string want, std::string found) {
  return Error{.code = code,
               .what = std::move(what),
               .in = tensor.place(),
               .want = std::move(want),
               .found = std::move(found),
               .hint = ""};
}

Result<void> check_shape(const StoredTensor& tensor, std::span<const int64_t> want, const std::string& formula) {
  if (std::equal(want.begin(), want.end(), tensor.shape.begin(), tensor.shape.end())) return {};
  return bad_tensor(ErrorCode::kInvalid, "weight has the wrong shape", tensor,
                    fmt::format("{}   ({})", format_shape(want), formula), format_shape(tensor.shape));
}

bool is_packed_fp4(DType dtype) {
  return dtype == DType::kI8 || dtype == DType::kU8;
}

// The axes before the last may be written as one or as several.
bool is_same_matrix(const StoredTensor& tensor, std::span<const int64_t> want) {
  const int64_t elements = std::accumulate(want.begin(), want.end(), int64_t{1}, std::multiplies<>());
  return tensor.elements() == elements && tensor.shape.back() == want.back();
}

template <class Number>
Number load(const std::byte* at) {
  Number v;
  std::memcpy(&v, at, sizeof v);
  return v;
}

// Where the bytes can be read as numbers of their type: where they are, or a copy.
const std::byte* aligned(const StoredTensor& tensor, OwnedNumbers& owned) {
  // Blocks are read byte by byte; FP4 has two codes in a byte.
  const auto size = static_cast<uintptr_t>(is_block_type(tensor.dtype) ? 1 : std::max(1, dtype_bits(tensor.dtype) / 8));
  if (reinterpret_cast<uintptr_t>(tensor.bytes.data()) % size == 0) return tensor.bytes.data();
  return owned.aligned_copy(tensor.bytes);
}

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// --- scales ----------------------------------------------------------------------------------------------------------

// The shape of a scale tensor for tiles of that size, in front of it the axis of a stack.
std::vector<int64_t> scale_shape(const std::vector<int64_t>& shape, int64_t tile_rows, int64_t tile_cols) {
  std::vector<int64_t> scales(shape);
  scales[shape.size() - 2] = ceil_div(shape[shape.size() - 2], tile_rows);
  scales[shape.size() - 1] = ceil_div(shape[shape.size() - 1], tile_cols);
  return scales;
}

struct Tile {
  int64_t rows;
  int64_t cols;
};

std::vector<Tile> allowed_tiles(DType dtype, const MatrixRules& rules) {
  if (dtype == DType::kF4E2M1) return {{1, kFp4ScaleCols}};
  if (rules.block_rows > 0) return {{rules.block_rows, rules.block_cols}};
  std::vector<Tile> tiles;
  for (const int64_t size : kTileSizes) tiles.push_back({size, size});
  return tiles;
}

Result<Tile> find_tile(DType dtype, const StoredTensor& scale, const std::vector<int64_t>& shape,
                       const MatrixRules& rules) {
  std::string want;
  for (const Tile& tile : allowed_tiles(dtype, rules)) {
    const std::vector<int64_t> sizes = scale_shape(shape, tile.rows, tile.cols);
    if (sizes == scale.shape) return tile;
    want += fmt::format("{}{}   (one per {} x {} of {})", want.empty() ? "" : " or ", format_shape(sizes), tile.rows,
                        tile.cols, format_shape(shape));
  }
  return bad_tensor(ErrorCode::kInvalid, "scales have the wrong shape", scale, want, format_shape(scale.shape));
}

// NaN and infinity in a scale would spread to everything that the model computes.
Result<void> check_scales(const StoredTensor& scale) {
  std::optional<int64_t> at;
  if (scale.dtype == DType::kF8E8M0) {
    const void* found = std::memchr(scale.bytes.data(), kE8M0NaN, scale.bytes.size());
    if (found != nullptr) at = static_cast<const std::byte*>(found) - scale.bytes.data();
  } else {
    for (int64_t i = 0; i < scale.elements() && !at; ++i) {
      if (!std::isfinite(stored_float(scale, i))) at = i;
    }
  }
  if (!at) return {};
  return bad_tensor(ErrorCode::kCorrupt, "scale is not a number", scale, "finite scales",
                    fmt::format("NaN or infinity at element {}", *at));
}

Result<void> attach_scale(Weight& weight, const StoredTensor& tensor, const StoredTensor* scale,
                          const std::vector<int64_t>& shape, const MatrixRules& rules, OwnedNumbers& owned) {
  if (scale == nullptr) {
    return bad_tensor(ErrorCode::kNotFound, "weight has no scales", tensor,
                      "a neighbour whose name ends in .scale or _scale_inv", "no such tensor");
  }
  const bool is_known =
      scale->dtype == DType::kF8E8M0 || (scale->dtype == DType::kF32 && weight.dtype == DType::kF8E4M3);
  if (!is_known) {
    return bad_tensor(ErrorCode::kInvalid, "scales have the wrong type", *scale,
                      weight.dtype == DType::kF8E4M3 ? "F8_E8M0 or F32" : "F8_E8M0",
                      std::string(dtype_name(scale->dtype)));
  }
  HADAL_ASSIGN(const Tile tile, find_tile(weight.dtype, *scale, shape, rules));
  if (rules.slice_rows % tile.rows != 0) {
    return bad_tensor(ErrorCode::kUnsupported, "tiles of the scales reach across stacked matrices", *scale,
                      fmt::format("matrices of a multiple of {} rows", tile.rows),
                      fmt::format("{} rows", rules.slice_rows));
  }
  if (rules.reads_scales) HADAL_TRY(check_scales(*scale));
  weight.scale_dtype = scale->dtype;
  weight.scale = aligned(*scale, owned);
  weight.scale_rows = static_cast<int>(tile.rows);
  weight.scale_cols = static_cast<int>(tile.cols);
  return {};
}

}  // namespace

// --- memory ----------------------------------------------------------------------------------------------------------

template <class Number>
std::span<Number> OwnedNumbers::allocate(size_t n) {
  // new std::byte[] is aligned for every number type.
  blocks_.push_back(std::make_unique<std::byte[]>(n * sizeof(Number)));
  bytes_ += n * sizeof(Number);
  return {reinterpret_cast<Number*>(blocks_.back().get()), n};
}

std::span<float> OwnedNumbers::floats(size_t n) {
  return allocate<float>(n);
}
std::span<int32_t> OwnedNumbers::ints(size_t n) {
  return allocate<int32_t>(n);
}

const std::byte* OwnedNumbers::aligned_copy(std::span<const std::byte> bytes) {
  const std::span<std::byte> copy = allocate<std::byte>(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.data(), bytes.data(), bytes.size());
  return copy.data();
}

// --- readers ---------------------------------------------------------------------------------------------------------

bool needs_scale(const StoredTensor& tensor) {
  return tensor.dtype == DType::kF8E4M3 || tensor.dtype == DType::kF4E2M1 || is_packed_fp4(tensor.dtype);
}

float stored_float(const StoredTensor& tensor, int64_t i) {
  const std::byte* data = tensor.bytes.data();
  switch (tensor.dtype) {
    case DType::kF16:
      return f16_to_f32(load<uint16_t>(data + 2 * i));
    case DType::kBF16:
      return bf16_to_f32(load<uint16_t>(data + 2 * i));
    default:
      return load<float>(data + 4 * i);
  }
}

Result<Weight> read_matrix(const StoredTensor& tensor, const StoredTensor* scale, const TensorShape& shape,
                           const MatrixRules& rules, OwnedNumbers& owned) {
  const bool is_packed = is_packed_fp4(tensor.dtype);
  if (!has_codec(tensor.dtype) && !needs_scale(tensor)) {
    return bad_tensor(ErrorCode::kInvalid, "weight has the wrong type", tensor,
                      "F32, F16, BF16, F8_E4M3, F4, I8 with two FP4 codes a byte, or a block type of GGUF",
                      std::string(dtype_name(tensor.dtype)));
  }
  std::vector<int64_t> stored = shape.sizes;
  if (is_packed) stored.back() = ceil_div(stored.back(), 2);
  if (!(rules.has_split_rows && is_same_matrix(tensor, stored)))
    HADAL_TRY(check_shape(tensor, stored, shape.explained(is_packed ? " / 2" : "")));

  Weight weight;
  weight.dtype = is_packed ? DType::kF4E2M1 : tensor.dtype;
  weight.cols = shape.sizes.back();
  weight.rows = 1;
  for (size_t axis = 0; axis + 1 < shape.sizes.size(); ++axis) weight.rows *= shape.sizes[axis];
  if (weight.dtype == DType::kF4E2M1 && weight.cols % kFp4ScaleCols != 0) {
    return bad_tensor(ErrorCode::kUnsupported, "FP4 weight has a row that is no whole number of scale blocks", tensor,
                      fmt::format("a multiple of {} columns", kFp4ScaleCols), fmt::format("{}", weight.cols));
  }
  weight.data = aligned(tensor, owned);
  if (needs_scale(tensor)) HADAL_TRY(attach_scale(weight, tensor, scale, shape.sizes, rules, owned));
  return weight;
}

Result<Vector> read_vector(const StoredTensor& tensor, const TensorShape& shape, OwnedNumbers& owned) {
  if (!has_codec(tensor.dtype)) {
    return bad_tensor(ErrorCode::kInvalid, "weight has the wrong type", tensor,
                      "F32, F16, BF16 or a block type of GGUF", std::string(dtype_name(tensor.dtype)));
  }
  HADAL_TRY(check_shape(tensor, shape.sizes, shape.explained()));
  const std::span<float> values = owned.floats(static_cast<size_t>(tensor.elements()));
  decode_values(tensor.dtype, tensor.bytes.data(), tensor.elements(), values.data());
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return bad_tensor(ErrorCode::kCorrupt, "weight is not a number", tensor, "finite numbers",
                        fmt::format("{} at element {}", values[i], i));
    }
  }
  return Vector(values);
}

Result<std::span<const int32_t>> read_expert_table(const StoredTensor& tensor, const TensorShape& shape,
                                                   int64_t n_experts, OwnedNumbers& owned) {
  if (tensor.dtype != DType::kI64 && tensor.dtype != DType::kI32) {
    return bad_tensor(ErrorCode::kInvalid, "expert table has the wrong type", tensor, "I64 or I32",
                      std::string(dtype_name(tensor.dtype)));
  }
  HADAL_TRY(check_shape(tensor, shape.sizes, shape.explained()));
  const int64_t k = shape.sizes.back();
  const std::span<int32_t> ids = owned.ints(static_cast<size_t>(tensor.elements()));
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    const int64_t id = tensor.dtype == DType::kI64 ? load<int64_t>(tensor.bytes.data() + 8 * i)
                                                   : load<int32_t>(tensor.bytes.data() + 4 * i);
    if (id < 0 || id >= n_experts) {
      return bad_tensor(ErrorCode::kCorrupt, "expert table names an expert that does not exist", tensor,
                        fmt::format("0 to {}", n_experts - 1), fmt::format("{} for token {}", id, i / k));
    }
    ids[static_cast<size_t>(i)] = static_cast<int32_t>(id);
    for (int64_t j = i - i % k; j < i; ++j) {
      if (ids[static_cast<size_t>(j)] == id) {
        return bad_tensor(ErrorCode::kCorrupt, "expert table names an expert twice", tensor,
                          fmt::format("{} different experts", k),
                          fmt::format("expert {} twice for token {}", id, i / k));
      }
    }
  }
  return std::span<const int32_t>(ids);
}

}  // namespace hadal
