#include "ops/linear/linear.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <vector>

#include "ops/cuda_ops.h"
#include "ops/linear/linear_kernels.h"

namespace hadal::ops {
namespace {

// Splits the rows of every group into blocks and runs the kernel on them.
template <RowBlockKernel kernel>
void linear_by_blocks(CpuDevice& cpu, const Linear& op) {
  const int64_t rows_per_group = op.w.rows / op.x.groups;
  const int64_t block = rows_per_task(op.w, op.x.T, cpu.pool().size());
  // Blocks begin at multiples of `block`, and anew with every group.
  const auto blocks_before = [&](int64_t row) { return row / block; };
  const int64_t blocks_of_group_max = (rows_per_group + block - 1) / block + 1;
  thread_local std::vector<const std::byte*> tokens;
  tokens.resize(static_cast<size_t>(op.x.groups * op.x.T));
  for (int64_t g = 0; g < op.x.groups; ++g) {
    for (int64_t t = 0; t < op.x.T; ++t) tokens[static_cast<size_t>(g * op.x.T + t)] = op.x.row(t, g);
  }
  const std::byte* const* token_rows = tokens.data();
  cpu.pool().run(op.x.groups * blocks_of_group_max, [&](int64_t i) {
    const int64_t group = i / blocks_of_group_max;
    const int64_t group_begin = group * rows_per_group;
    const int64_t begin = std::max(group_begin, (blocks_before(group_begin) + i % blocks_of_group_max) * block);
    const int64_t end = std::min(group_begin + rows_per_group, (blocks_before(begin) + 1) * block);
    if (begin >= end) return;
    const TokenRows x{.format = op.x.format, .K = op.x.K, .rows = token_rows + group * op.x.T, .T = op.x.T};
    kernel(op.w, begin, end - begin, x, op.y + begin, op.y_stride);
  });
}

}  // namespace

bool has_int8_rows(const Device::Shape& device) {
  return device.kind == Device::Kind::kCpu;
}

int64_t packed_rows_bytes(int64_t T, int64_t groups, int64_t K, RowFormat format) {
  const PackedRows rows{.format = format, .T = T, .groups = groups, .K = K, .data = nullptr};
  return T * groups * rows.row_bytes();
}

int64_t rows_per_task(const Weight& w, int64_t T, int n_threads) {
  // One token: some hundred KiB in a row, which prefetchers follow. More tokens: a panel for L2; tokens are scaled once
  // for the rows of a task, so FP8 takes all rows of its scale blocks.
  constexpr int64_t kStreamBytes = 512 << 10;
  int64_t rows = w.dtype == DType::kF8E4M3 ? kRowBlockMax : kRowBlockMax / 2;
  if (T == 1)
    rows = std::clamp(static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(kStreamBytes / w.row_bytes() + 1))),
                      int64_t{8}, kRowBlockMax);
  while (rows > 8 && w.rows / rows < 4 * n_threads) rows /= 2;
  return w.scale == nullptr || w.scale_rows == 1 ? rows : std::gcd(rows, int64_t{w.scale_rows});
}

RowBlockKernel row_block_kernel_for(CpuLevel level) {
#if defined(__x86_64__)
  if (level >= CpuLevel::kAvx512) return row_block_avx512;
  if (level >= CpuLevel::kAvx2) return row_block_avx2;
#endif
  (void)level;
  return row_block_reference;
}

#if defined(__x86_64__)
void pack_rows_avx512(CpuDevice& cpu, const PackRows& op);
#endif

std::span<const Version<PackRows>> pack_rows_versions() {
  static constexpr Version<PackRows> kVersions[] = {{CpuLevel::kPortable, pack_rows_reference},
                                                    HADAL_X86_VERSIONS({CpuLevel::kAvx512, pack_rows_avx512}, )};
  return kVersions;
}

std::span<const Version<Linear>> linear_versions() {
  static constexpr Version<Linear> kVersions[] = {
      {CpuLevel::kPortable, linear_reference},
      HADAL_X86_VERSIONS({CpuLevel::kAvx2, linear_by_blocks<row_block_avx2>},
                         {CpuLevel::kAvx512, linear_by_blocks<row_block_avx512>}, )};
  return kVersions;
}

void pack_rows(Device& device, const PackRows& op) {
  HADAL_CHECK(op.out.format == row_format(op.rounding), "pack_rows: format does not fit the rounding");
  if (run_on_cuda(device, &CudaOps::pack_rows, op,
                  op.rounding != ActivationRounding::kInt8 && op.rounding != ActivationRounding::kInt8Lanes &&
                      op.rounding != ActivationRounding::kE4m3FloatScale &&
                      op.rounding != ActivationRounding::kE4m3By32,
                  "pack_rows: 8-bit rows, float scales, scales of 32 channels"))
    return;
  CpuDevice& cpu = as_cpu(device);
  choose_version(pack_rows_versions(), cpu.level()).run(cpu, op);
}

namespace {

void check_linear(const Linear& op) {
  HADAL_CHECK(op.w.cols == op.x.K && op.w.rows % op.x.groups == 0, "linear: [N, K], groups, K of x", op.w.rows,
              op.w.cols, op.x.groups, op.x.K);
  HADAL_CHECK(op.w.dtype != DType::kF4E2M1 || op.w.scale_cols == 32, "linear: FP4 scale block", op.w.scale_cols);
  HADAL_CHECK(op.x.format != RowFormat::kInt8 || op.w.dtype == DType::kF4E2M1,
              "linear: 8-bit activations meet FP4 only", dtype_name(op.w.dtype));
  HADAL_CHECK(op.x.format != RowFormat::kInt8Lanes || is_block_type(op.w.dtype), "linear: lanes meet block types only",
              dtype_name(op.w.dtype));
}

bool is_on_cuda(const Linear& op) {
  return op.x.format != RowFormat::kInt8 && op.x.format != RowFormat::kInt8Lanes && !is_block_type(op.w.dtype);
}

}  // namespace

void linear(Device& device, const Linear& op) {
  linear(device, std::span(&op, 1));
}

void linear(Device& device, std::span<const Linear> ops) {
  for (const Linear& op : ops) check_linear(op);
  if (run_all_on_cuda(device, &CudaOps::linear, ops, std::all_of(ops.begin(), ops.end(), is_on_cuda),
                      "linear: 8-bit rows, block types"))
    return;
  CpuDevice& cpu = as_cpu(device);
  const Version<Linear>& version = choose_version(linear_versions(), cpu.level());
  for (const Linear& op : ops) version.run(cpu, op);
}

}  // namespace hadal::ops
