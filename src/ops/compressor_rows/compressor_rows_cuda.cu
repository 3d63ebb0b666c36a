// A block a row of K or Z. What is kept may lie where something else was read, so joining and keeping are two launches;
// a step that completes no group only appends.

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

__global__ void __launch_bounds__(kThreads) append_kernel(CompressorRows op) {
  wait_for_previous();
  const Part part = part_of(op, blockIdx.y);
  const int64_t width = op.width();
  const int64_t t = blockIdx.x;
  copy_floats(part.pending + (op.n_pending() + t) * width, part.fresh + t * width, width);
}

__global__ void __launch_bounds__(kThreads) join_kernel(CompressorRows op) {
  wait_for_previous();
  const Part part = part_of(op, blockIdx.y);
  const int64_t width = op.width();
  const int64_t r = blockIdx.x;
  const int64_t waited = r - op.n_before();
  float* to = part.rows + r * width;
  if (waited < 0) return copy_floats(to, part.previous + r * op.d, op.d);
  if (waited < op.n_pending()) return copy_floats(to, part.pending + waited * width, width);
  copy_floats(to, part.fresh + (waited - op.n_pending()) * width, width);
}

// Blocks [0, n_left): rows of the unfinished group; with overlap m more: the last complete one.
__global__ void __launch_bounds__(kThreads) keep_kernel(CompressorRows op) {
  wait_for_previous();
  const Part part = part_of(op, blockIdx.y);
  const int64_t width = op.width();
  const float* left = part.rows + (op.n_rows() - op.n_left()) * width;
  const int64_t r = static_cast<int64_t>(blockIdx.x) - op.n_left();
  if (r >= 0) return copy_floats(part.previous + r * op.d, left + (r - op.m) * width, op.d);
  copy_floats(part.pending + blockIdx.x * width, left + blockIdx.x * width, width);
}

}  // namespace

void compressor_rows_cuda(CudaContext& context, const CompressorRows& op) {
  if (op.T == 0) return;
  if (op.n_groups() == 0) {
    enqueue(context, dim3(static_cast<unsigned>(op.T), 2), kThreads, 0, append_kernel, op);
  } else {
    enqueue(context, dim3(static_cast<unsigned>(op.n_rows()), 2), kThreads, 0, join_kernel, op);
    const auto n_kept = static_cast<unsigned>(op.n_left() + (op.coff == 2 ? op.m : 0));
    if (n_kept > 0) enqueue(context, dim3(n_kept, 2), kThreads, 0, keep_kernel, op);
  }
  context.check_launch("compressor_rows");
}

}  // namespace hadal::ops
