#include "ops/embed/embed.h"

#include <algorithm>
#include <cstring>

#include "base/blocks/block_codec.h"
#include "ops/cuda_ops.h"
#include "ops/linear/linear.h"
#include "ops/tasks.h"

namespace hadal::ops {
namespace {

// Rows may begin at any byte of a file, hence the copies.
template <class Code, class Widen>
void widen_row(const std::byte* row, int64_t C, float* x, const Widen& widen) {
  for (int64_t c = 0; c < C; ++c) {
    Code code;
    std::memcpy(&code, row + c * static_cast<int64_t>(sizeof(Code)), sizeof(Code));
    x[c] = widen(code);
  }
}

void widen_row(const Weight& table, int64_t id, float* x) {
  const std::byte* row = table.data + id * table.row_bytes();
  switch (table.dtype) {
    case DType::kF32:
      return widen_row<float>(row, table.cols, x, [](float v) { return v; });
    case DType::kBF16:
      return widen_row<uint16_t>(row, table.cols, x, bf16_to_f32);
    default:
      if (is_block_type(table.dtype)) return decode_values(table.dtype, row, table.cols, x);
      for (int64_t c = 0; c < table.cols; ++c) x[c] = weight_at(table, id, c);
  }
}

}  // namespace

void embed_portable(CpuDevice& cpu, const Embed& op) {
  const int64_t C = op.table.cols;
  cpu.pool().for_slices(op.T, rows_per_task(4 * (op.n + 1) * C), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      float* first = op.x + t * op.n * C;
      widen_row(op.table, op.ids[t], first);
      for (int64_t j = 1; j < op.n; ++j) std::copy_n(first, C, first + j * C);
    }
  });
}

std::span<const Version<Embed>> embed_versions() {
  // Widening BF16 is a shift: the compiler's vectors already write as fast as memory takes it.
  static constexpr Version<Embed> kVersions[] = {
      {CpuLevel::kPortable, embed_portable},
  };
  return kVersions;
}

void embed(Device& device, const Embed& op) {
  if (run_on_cuda(device, &CudaOps::embed, op)) return;
  CpuDevice& cpu = as_cpu(device);
  choose_version(embed_versions(), cpu.level()).run(cpu, op);
}

}  // namespace hadal::ops
