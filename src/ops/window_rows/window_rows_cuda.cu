// A block a row. A single token's row goes into the ring at once: no past row that is copied lies where it goes. More
// tokens may overwrite such rows, so their ring is filled by a second launch.

#include "ops/cuda_kernels.cuh"
#include "ops/kv_rows/encode_row_cuda.cuh"
#include "ops/window_rows/window_rows.h"

namespace hadal::ops {
namespace {

__device__ void copy_row(std::byte* to, const std::byte* from, int64_t row_bytes) {
  for (int64_t i = threadIdx.x; i < row_bytes / 4; i += kEncodeThreads) {
    reinterpret_cast<uint32_t*>(to)[i] = reinterpret_cast<const uint32_t*>(from)[i];
  }
}

__device__ std::byte* ring_slot(const WindowRows& op, int64_t position) {
  return op.ring + position % op.window * op.row_bytes;
}

__device__ void encode_token(const WindowRows& op, int64_t t, std::byte* out) {
  encode_row_by_block(op.format, op.kv + t * op.D, static_cast<int>(op.D), static_cast<int>(op.rope_dim), op.row_bytes,
                      out);
}

__global__ void __launch_bounds__(kEncodeThreads) gather_kernel(WindowRows op, int64_t n_past) {
  wait_for_previous();
  const int64_t i = blockIdx.x;
  std::byte* row = op.rows + i * op.row_bytes;
  if (i < n_past) return copy_row(row, ring_slot(op, op.position0 - n_past + i), op.row_bytes);
  encode_token(op, i - n_past, row);
  if (op.T == 1) encode_token(op, 0, ring_slot(op, op.position0));
}

__global__ void __launch_bounds__(kEncodeThreads) copy_into_ring_kernel(WindowRows op, int64_t n_past, int64_t first) {
  wait_for_previous();
  const int64_t t = first + blockIdx.x;
  copy_row(ring_slot(op, op.position0 + t), op.rows + (n_past + t) * op.row_bytes, op.row_bytes);
}

__global__ void __launch_bounds__(kEncodeThreads) encode_into_ring_kernel(WindowRows op, int64_t first) {
  wait_for_previous();
  const int64_t t = first + blockIdx.x;
  encode_token(op, t, ring_slot(op, op.position0 + t));
}

}  // namespace

void window_rows_cuda(CudaContext& context, const WindowRows& op) {
  if (op.T == 0) return;
  const int64_t n_past = op.n_past();
  const auto n_kept = static_cast<unsigned>(std::min(op.T, op.window));
  const int64_t first = op.T - n_kept;
  if (op.rows == nullptr) {
    enqueue(context, n_kept, kEncodeThreads, 0, encode_into_ring_kernel, op, first);
  } else {
    enqueue(context, static_cast<unsigned>(n_past + op.T), kEncodeThreads, 0, gather_kernel, op, n_past);
    if (op.T > 1) enqueue(context, n_kept, kEncodeThreads, 0, copy_into_ring_kernel, op, n_past, first);
  }
  context.check_launch("window_rows");
}

}  // namespace hadal::ops
