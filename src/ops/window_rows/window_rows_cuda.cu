// A block a row, of all sequences of a list. A single token's row goes into the ring at once: no past row that is
// copied lies where it goes. More tokens may overwrite such rows, so their ring is filled by a second launch.

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

// The last of its rows that an op keeps.
constexpr int64_t n_kept(const WindowRows& op) {
  return op.T < op.window ? op.T : op.window;
}

template <int kOps>
__global__ void __launch_bounds__(kEncodeThreads)
    gather_kernel(const __grid_constant__ OpBatch<WindowRows, kOps> batch) {
  wait_for_previous();
  const int in_batch = batch.op_of(static_cast<int>(blockIdx.x));
  const WindowRows& op = batch.ops[in_batch];
  const int64_t i = static_cast<int>(blockIdx.x) - batch.first[in_batch];
  const int64_t n_past = op.n_past();
  std::byte* row = op.rows + i * op.row_bytes;
  if (i < n_past) return copy_row(row, ring_slot(op, op.position0 - n_past + i), op.row_bytes);
  encode_token(op, i - n_past, row);
  if (op.T == 1) encode_token(op, 0, ring_slot(op, op.position0));
}

template <int kOps>
__global__ void __launch_bounds__(kEncodeThreads)
    copy_into_ring_kernel(const __grid_constant__ OpBatch<WindowRows, kOps> batch) {
  wait_for_previous();
  const int in_batch = batch.op_of(static_cast<int>(blockIdx.x));
  const WindowRows& op = batch.ops[in_batch];
  const int64_t t = op.T - n_kept(op) + static_cast<int>(blockIdx.x) - batch.first[in_batch];
  copy_row(ring_slot(op, op.position0 + t), op.rows + (op.n_past() + t) * op.row_bytes, op.row_bytes);
}

template <int kOps>
__global__ void __launch_bounds__(kEncodeThreads)
    encode_into_ring_kernel(const __grid_constant__ OpBatch<WindowRows, kOps> batch) {
  wait_for_previous();
  const int in_batch = batch.op_of(static_cast<int>(blockIdx.x));
  const WindowRows& op = batch.ops[in_batch];
  const int64_t t = op.T - n_kept(op) + static_cast<int>(blockIdx.x) - batch.first[in_batch];
  encode_token(op, t, ring_slot(op, op.position0 + t));
}

}  // namespace

void window_rows_cuda(CudaContext& context, const WindowRows* ops, int64_t n) {
  const std::span<const WindowRows> all(ops, static_cast<size_t>(n));
  if (all.empty()) return;
  const auto blocks = [](const auto& batch) { return static_cast<unsigned>(batch.n_items()); };
  if (all.front().rows == nullptr) {
    for_batches(all, n_kept, [&]<int kOps>(const OpBatch<WindowRows, kOps>& batch) {
      enqueue(context, blocks(batch), kEncodeThreads, 0, encode_into_ring_kernel<kOps>, batch);
    });
  } else {
    const auto rows_of = [](const WindowRows& op) { return op.T == 0 ? 0 : op.n_past() + op.T; };
    for_batches(all, rows_of, [&]<int kOps>(const OpBatch<WindowRows, kOps>& batch) {
      enqueue(context, blocks(batch), kEncodeThreads, 0, gather_kernel<kOps>, batch);
    });
    const auto left_to_copy = [](const WindowRows& op) { return op.T > 1 ? n_kept(op) : 0; };
    for_batches(all, left_to_copy, [&]<int kOps>(const OpBatch<WindowRows, kOps>& batch) {
      enqueue(context, blocks(batch), kEncodeThreads, 0, copy_into_ring_kernel<kOps>, batch);
    });
  }
  context.check_launch("window_rows");
}

}  // namespace hadal::ops
