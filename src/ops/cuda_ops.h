// The table of ops inside libhadal_cuda.so, and the way from an op's dispatch to it.
//
// A CUDA op takes the struct of the CPU op. Every pointer in it is memory of the GPU, the arrays of pages and lists
// included; what is read on the host instead is said beside the field (Moe). Ops enqueue and return.
#pragma once

#include <span>

#include "base/check.h"
#include "device/cuda/cuda_device.h"

namespace hadal::ops {

struct Compress;
struct CompressorRows;
struct DecodeRows;
struct Embed;
struct EncodeRows;
struct HcPost;
struct HcPre;
struct IndexSelect;
struct Linear;
struct Moe;
struct PackRows;
struct RmsNorm;
struct Rope;
struct RoundRows;
struct Router;
struct SparseAttention;
struct StreamAdd;
struct WindowRows;

template <class Op>
using RunOnCuda = void (*)(CudaContext& context, const Op& op);

// n ops of several sequences (ops/batch.h).
template <class Op>
using RunAllOnCuda = void (*)(CudaContext& context, const Op* ops, int64_t n);

struct CudaOps {
  RunAllOnCuda<Compress> compress;
  RunAllOnCuda<CompressorRows> compressor_rows;
  RunOnCuda<DecodeRows> decode_rows;
  RunOnCuda<Embed> embed;
  RunAllOnCuda<EncodeRows> encode_rows;
  RunOnCuda<HcPost> hc_post;
  RunOnCuda<HcPre> hc_pre;
  RunAllOnCuda<IndexSelect> index_select;
  RunAllOnCuda<Linear> linear;
  RunOnCuda<Moe> moe;
  RunOnCuda<PackRows> pack_rows;
  RunOnCuda<RmsNorm> rms_norm;
  RunOnCuda<Rope> rope;
  RunOnCuda<RoundRows> round_rows;
  RunOnCuda<Router> router;
  RunAllOnCuda<SparseAttention> sparse_attention;
  RunOnCuda<StreamAdd> stream_add;
  RunAllOnCuda<WindowRows> window_rows;
};

// Enqueues the op when the device is a GPU; false when it is another device. What the CUDA version does not do yet is
// refused: `missing` says what.
template <class Op>
bool run_on_cuda(Device& device, RunOnCuda<Op> CudaOps::*run, const Op& op, bool is_supported = true,
                 const char* missing = "") {
  CudaDevice* cuda = cuda_or_null(device);
  if (cuda == nullptr) return false;
  HADAL_CHECK(is_supported, "not on GPUs yet", missing);
  (cuda->api().ops->*run)(*cuda->context(), op);
  return true;
}

// Likewise for a list.
template <class Op>
bool run_all_on_cuda(Device& device, RunAllOnCuda<Op> CudaOps::*run, std::span<const Op> ops, bool is_supported = true,
                     const char* missing = "") {
  CudaDevice* cuda = cuda_or_null(device);
  if (cuda == nullptr) return false;
  HADAL_CHECK(is_supported, "not on GPUs yet", missing);
  (cuda->api().ops->*run)(*cuda->context(), ops.data(), static_cast<int64_t>(ops.size()));
  return true;
}

}  // namespace hadal::ops
