#include "model/gguf/latent_halves.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/blocks/block_codec.h"
#include "base/format.h"

namespace hadal {
namespace {

Result<void> check(const StoredTensor& tensor, int64_t heads, int64_t rows, int64_t cols, std::string_view formula) {
  const bool is_right = tensor.elements() == heads * rows * cols && tensor.shape.back() == cols;
  if (is_right && has_codec(tensor.dtype)) return {};
  return Error{.code = ErrorCode::kInvalid,
               .what = is_right ? "weight has the wrong type" : "weight has the wrong shape",
               .in = tensor.place(),
               .want = is_right ? "F32, F16, BF16 or a block type"
                                : fmt::format("[{}, {}, {}]   ({}, from the metadata)", heads, rows, cols, formula),
               .found = is_right ? std::string(dtype_name(tensor.dtype)) : format_shape(tensor.shape),
               .hint = ""};
}

}  // namespace

Result<Weight> join_latent_halves(const StoredTensor& keys, const StoredTensor& values, const ModelDescription& d,
                                  OwnedNumbers& owned) {
  const int64_t H = d.n_heads, nope = d.qk_nope_head_dim, v_dim = d.v_head_dim, C = d.kv_lora_rank;
  HADAL_TRY(check(keys, H, C, nope, "num_attention_heads x kv_lora_rank x qk_nope_head_dim"));
  HADAL_TRY(check(values, H, v_dim, C, "num_attention_heads x v_head_dim x kv_lora_rank"));
  const std::span<float> all = owned.floats(static_cast<size_t>(H * (nope + v_dim) * C));
  std::vector<float> transposed(static_cast<size_t>(C * nope));
  const auto head_bytes = [&](const StoredTensor& tensor, int64_t h) {
    return tensor.bytes.data() + h * static_cast<int64_t>(tensor.bytes.size()) / H;
  };
  for (int64_t h = 0; h < H; ++h) {
    float* uk = all.data() + h * (nope + v_dim) * C;
    decode_values(keys.dtype, head_bytes(keys, h), C * nope, transposed.data());
    for (int64_t c = 0; c < C; ++c) {
      for (int64_t n = 0; n < nope; ++n) uk[n * C + c] = transposed[static_cast<size_t>(c * nope + n)];
    }
    decode_values(values.dtype, head_bytes(values, h), v_dim * C, uk + nope * C);
  }
  Weight weight{.dtype = DType::kF32, .rows = H * (nope + v_dim), .cols = C};
  weight.data = reinterpret_cast<const std::byte*>(all.data());
  return weight;
}

Weight taken_out_of_blocks(const Weight& weight, OwnedNumbers& owned) {
  if (!is_block_type(weight.dtype)) return weight;
  const std::span<float> values = owned.floats(static_cast<size_t>(weight.rows * weight.cols));
  decode_values(weight.dtype, weight.data, weight.rows * weight.cols, values.data());
  Weight floats{.dtype = DType::kF32, .rows = weight.rows, .cols = weight.cols};
  floats.data = reinterpret_cast<const std::byte*>(values.data());
  return floats;
}

}  // namespace hadal
