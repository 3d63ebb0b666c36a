// A block a row of K or Z, of all sequences of a list. What is kept may lie where something else was read, so joining
// and keeping are two launches; a step that completes no group only appends.

#include "ops/compressor_rows/compressor_rows.h"
#include "ops/cuda_kernels.cuh"

namespace hadal::ops {
namespace {

constexpr int kThreads = 128;

__device__ void copy_floats(float* to, const float* from, int64_t n) {
  for (int64_t i = threadIdx.x; i < n; i += kThreads) to[i] = from[i];
}

// K or Z of the arrays.
struct Part {
  const float* fresh;
  float* previous;
  float* pending;
  float* rows;
};

__device__ Part part_of(const CompressorRows& op, unsigned part) {
  return {part == 0 ? op.fresh_k : op.fresh_z, op.coff == 2 ? op.previous + part * op.m * op.d : nullptr,
          op.pending + part * (op.m - 1) * op.width(), op.rows + part * op.n_rows() * op.width()};
}

__device__ void append_row(const CompressorRows& op, const Part& part, int64_t t) {
  const int64_t width = op.width();
  copy_floats(part.pending + (op.n_pending() + t) * width, part.fresh + t * width, width);
}

__device__ void join_row(const CompressorRows& op, const Part& part, int64_t r) {
  const int64_t width = op.width();
  const int64_t waited = r - op.n_before();
  float* to = part.rows + r * width;
  if (waited < 0) return copy_floats(to, part.previous + r * op.d, op.d);
  if (waited < op.n_pending()) return copy_floats(to, part.pending + waited * width, width);
  copy_floats(to, part.fresh + (waited - op.n_pending()) * width, width);
}

template <int kOps>
__global__ void __launch_bounds__(kThreads)
    append_or_join_kernel(const __grid_constant__ OpBatch<CompressorRows, kOps> batch) {
  wait_for_previous();
  const int in_batch = batch.op_of(static_cast<int>(blockIdx.x));
  const CompressorRows& op = batch.ops[in_batch];
  const int64_t i = static_cast<int>(blockIdx.x) - batch.first[in_batch];
  const Part part = part_of(op, blockIdx.y);
  if (op.n_groups() == 0) return append_row(op, part, i);
  join_row(op, part, i);
}

// Blocks [0, n_left) of an op: rows of the unfinished group; with overlap m more: the last complete one.
template <int kOps>
__global__ void __launch_bounds__(kThreads) keep_kernel(const __grid_constant__ OpBatch<CompressorRows, kOps> batch) {
  wait_for_previous();
  const int in_batch = batch.op_of(static_cast<int>(blockIdx.x));
  const CompressorRows& op = batch.ops[in_batch];
  const int64_t i = static_cast<int>(blockIdx.x) - batch.first[in_batch];
  const Part part = part_of(op, blockIdx.y);
  const int64_t width = op.width();
  const float* left = part.rows + (op.n_rows() - op.n_left()) * width;
  const int64_t r = i - op.n_left();
  if (r >= 0) return copy_floats(part.previous + r * op.d, left + (r - op.m) * width, op.d);
  copy_floats(part.pending + i * width, left + i * width, width);
}

}  // namespace

void compressor_rows_cuda(CudaContext& context, const CompressorRows* ops, int64_t n) {
  const std::span<const CompressorRows> all(ops, static_cast<size_t>(n));
  const auto rows_of = [](const CompressorRows& op) { return op.T == 0 || op.n_groups() == 0 ? op.T : op.n_rows(); };
  for_batches(all, rows_of, [&]<int kOps>(const OpBatch<CompressorRows, kOps>& batch) {
    const dim3 grid(static_cast<unsigned>(batch.n_items()), 2);
    enqueue(context, grid, kThreads, 0, append_or_join_kernel<kOps>, batch);
  });
  const auto kept_of = [](const CompressorRows& op) {
    return op.T == 0 || op.n_groups() == 0 ? 0 : op.n_left() + (op.coff == 2 ? op.m : 0);
  };
  for_batches(all, kept_of, [&]<int kOps>(const OpBatch<CompressorRows, kOps>& batch) {
    enqueue(context, dim3(static_cast<unsigned>(batch.n_items()), 2), kThreads, 0, keep_kernel<kOps>, batch);
  });
  context.check_launch("compressor_rows");
}

}  // namespace hadal::ops
