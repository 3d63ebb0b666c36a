#include "ops/compressor_rows/compressor_rows.h"

#include <cstring>

#include "ops/cuda_ops.h"

namespace hadal::ops {
namespace {

void copy_floats(float* to, const float* from, int64_t n) {
  if (n > 0) std::memcpy(to, from, static_cast<size_t>(n) * sizeof(float));
}

// K or Z.
void join(const CompressorRows& op, const float* fresh, float* previous, float* pending, float* rows) {
  const int64_t width = op.width();
  if (op.n_groups() == 0) return copy_floats(pending + op.n_pending() * width, fresh, op.T * width);
  float* to = rows;
  for (int64_t r = 0; r < op.n_before(); ++r, to += width) copy_floats(to, previous + r * op.d, op.d);
  copy_floats(to, pending, op.n_pending() * width);
  copy_floats(to + op.n_pending() * width, fresh, op.T * width);

  const float* left = rows + (op.n_rows() - op.n_left()) * width;
  if (op.coff == 2) {
    for (int64_t r = 0; r < op.m; ++r) copy_floats(previous + r * op.d, left + (r - op.m) * width, op.d);
  }
  copy_floats(pending, left, op.n_left() * width);
}

}  // namespace

void compressor_rows_portable(CpuDevice&, const CompressorRows& op) {
  const int64_t previous_floats = op.previous == nullptr ? 0 : op.m * op.d;
  const int64_t pending_floats = (op.m - 1) * op.width();
  const int64_t rows_floats = op.n_groups() == 0 ? 0 : op.n_rows() * op.width();
  join(op, op.fresh_k, op.previous, op.pending, op.rows);
  join(op, op.fresh_z, op.previous + previous_floats, op.pending + pending_floats, op.rows + rows_floats);
}

std::span<const Version<CompressorRows>> compressor_rows_versions() {
  static constexpr Version<CompressorRows> kVersions[] = {{CpuLevel::kPortable, compressor_rows_portable}};
  return kVersions;
}

void compressor_rows(Device& device, const CompressorRows& op) {
  compressor_rows(device, std::span(&op, 1));
}

void compressor_rows(Device& device, std::span<const CompressorRows> ops) {
  for (const CompressorRows& op : ops) {
    HADAL_CHECK(op.m >= 1 && (op.coff == 1 || op.coff == 2), "compressor_rows: m, coff", op.m, op.coff);
    HADAL_CHECK((op.previous != nullptr) == (op.coff == 2), "compressor_rows: overlap without a group before");
  }
  if (run_all_on_cuda(device, &CudaOps::compressor_rows, ops)) return;
  CpuDevice& cpu = as_cpu(device);
  const auto run = choose_version(compressor_rows_versions(), cpu.level()).run;
  for (const CompressorRows& op : ops) run(cpu, op);
}

}  // namespace hadal::ops
