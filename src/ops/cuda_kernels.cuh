// The CUDA versions of the ops, one OP_cuda.cu each: what the table of ops/cuda_ops.h is made of.
//
// Orders of sums are written down in each file. None depends on T, on what else is in a batch or on how a prompt was
// cut, and no float is added atomically: a row gives the same bits alone and among others.
#pragma once

#include "device/cuda/cuda_context.cuh"
#include "ops/cuda_batch.cuh"
#include "ops/cuda_launch.cuh"
#include "ops/cuda_ops.h"

namespace hadal::ops {

void compress_cuda(CudaContext& context, const Compress* ops, int64_t n);
void compressor_rows_cuda(CudaContext& context, const CompressorRows* ops, int64_t n);
void decode_rows_cuda(CudaContext& context, const DecodeRows& op);
void embed_cuda(CudaContext& context, const Embed& op);
void encode_rows_cuda(CudaContext& context, const EncodeRows* ops, int64_t n);
void hc_post_cuda(CudaContext& context, const HcPost& op);
void hc_pre_cuda(CudaContext& context, const HcPre& op);
void index_select_cuda(CudaContext& context, const IndexSelect* ops, int64_t n);
void linear_cuda(CudaContext& context, const Linear* ops, int64_t n);
void moe_cuda(CudaContext& context, const Moe& op);
void pack_rows_cuda(CudaContext& context, const PackRows& op);
void rms_norm_cuda(CudaContext& context, const RmsNorm& op);
void rope_cuda(CudaContext& context, const Rope& op);
void round_rows_cuda(CudaContext& context, const RoundRows& op);
void router_cuda(CudaContext& context, const Router& op);
void sparse_attention_cuda(CudaContext& context, const SparseAttention* ops, int64_t n);
void stream_add_cuda(CudaContext& context, const StreamAdd& op);
void window_rows_cuda(CudaContext& context, const WindowRows* ops, int64_t n);

// Blocks of `threads` that cover n elements.
inline unsigned blocks_for(int64_t n, int64_t threads) {
  return static_cast<unsigned>((n + threads - 1) / threads);
}

}  // namespace hadal::ops
