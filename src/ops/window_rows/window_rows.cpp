#include "ops/window_rows/window_rows.h"

#include <cstring>

#include "ops/cuda_ops.h"

namespace hadal::ops {
namespace {

// As in kv_rows.cpp: encoding a row takes about twice the claim of a task.
constexpr int64_t kRowsPerTask = 16;

std::byte* slot(const WindowRows& op, int64_t position) {
  return op.ring + position % op.window * op.row_bytes;
}

void encode_into_ring(const WindowRows& op, EncodeRow encode) {
  for (int64_t t = std::max<int64_t>(0, op.T - op.window); t < op.T; ++t) {
    encode(op.format, op.kv + t * op.D, op.D, op.rope_dim, slot(op, op.position0 + t));
  }
}

}  // namespace

// What makes it fast is the coder of the processor's level.
void window_rows_portable(CpuDevice& cpu, const WindowRows& op) {
  const EncodeRow encode = encode_row_for(cpu.level());
  if (op.rows == nullptr) return encode_into_ring(op, encode);
  const auto bytes = static_cast<size_t>(op.row_bytes);
  const int64_t n_past = op.n_past();
  for (int64_t i = 0; i < n_past; ++i) {
    std::memcpy(op.rows + i * op.row_bytes, slot(op, op.position0 - n_past + i), bytes);
  }
  std::byte* fresh = op.rows + n_past * op.row_bytes;
  cpu.pool().for_slices(op.T, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      encode(op.format, op.kv + t * op.D, op.D, op.rope_dim, fresh + t * op.row_bytes);
    }
  });
  for (int64_t t = std::max<int64_t>(0, op.T - op.window); t < op.T; ++t) {
    std::memcpy(slot(op, op.position0 + t), fresh + t * op.row_bytes, bytes);
  }
}

std::span<const Version<WindowRows>> window_rows_versions() {
  static constexpr Version<WindowRows> kVersions[] = {{CpuLevel::kPortable, window_rows_portable}};
  return kVersions;
}

void window_rows(Device& device, const WindowRows& op) {
  window_rows(device, std::span(&op, 1));
}

void window_rows(Device& device, std::span<const WindowRows> ops) {
  for (const WindowRows& op : ops) {
    HADAL_CHECK(op.window >= 1 && op.row_bytes % 4 == 0, "window_rows: window, row_bytes", op.window, op.row_bytes);
    HADAL_CHECK((op.rows == nullptr) == (ops.front().rows == nullptr), "window_rows: rows of some of a list");
  }
  if (run_all_on_cuda(device, &CudaOps::window_rows, ops)) return;
  CpuDevice& cpu = as_cpu(device);
  const auto run = choose_version(window_rows_versions(), cpu.level()).run;
  for (const WindowRows& op : ops) run(cpu, op);
}

}  // namespace hadal::ops
