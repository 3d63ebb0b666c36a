// What libhadal_cuda.so exports.

#include "device/cuda/cuda_runtime.cuh"
#include "ops/cuda_kernels.cuh"

namespace hadal::ops {
namespace {

constexpr CudaOps kCudaOps = {.compress = compress_cuda,
                              .compressor_rows = compressor_rows_cuda,
                              .decode_rows = decode_rows_cuda,
                              .embed = embed_cuda,
                              .encode_rows = encode_rows_cuda,
                              .hc_post = hc_post_cuda,
                              .hc_pre = hc_pre_cuda,
                              .index_select = index_select_cuda,
                              .linear = linear_cuda,
                              .moe = moe_cuda,
                              .pack_rows = pack_rows_cuda,
                              .rms_norm = rms_norm_cuda,
                              .rope = rope_cuda,
                              .round_rows = round_rows_cuda,
                              .router = router_cuda,
                              .sparse_attention = sparse_attention_cuda,
                              .stream_add = stream_add_cuda,
                              .window_rows = window_rows_cuda};

}  // namespace
}  // namespace hadal::ops

extern "C" __attribute__((visibility("default"))) const hadal::CudaApi* hadal_cuda_api() {
  static const hadal::CudaApi kApi = [] {
    hadal::CudaApi api = hadal::cuda_runtime_api();
    api.ops = &hadal::ops::kCudaOps;
    return api;
  }();
  return &kApi;
}
