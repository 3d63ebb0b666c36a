// The small ops of a decode step on a GPU, in V4-Flash's shapes: what a launch costs and little more.

#include "ops/hc_pre/hc_pre.h"

#include "ops/hc_post/hc_post.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/router/router.h"
#include "testing/cuda_bench.h"

namespace hadal::ops {
namespace {

constexpr int64_t kC = 4096;
constexpr int64_t kStreams = 4;

void BM_hc_pre_cuda(benchmark::State& state) {
  const Result<CudaDevice*> opened = test::cuda_device();
  if (!opened.ok()) return state.SkipWithError(opened.error().to_string().c_str());
  CudaDevice& gpu = **opened;
  test::CudaMemory memory(gpu);
  const int64_t T = state.range(0);
  const HcPre op = {.x = memory.put(test::normal_floats(1, T * kStreams * kC)),
                    .projected = memory.put(test::normal_floats(2, T * 24)),
                    .scale = memory.put(test::normal_floats(3, 3)),
                    .base = memory.put(test::normal_floats(4, 24)),
                    .u = memory.room<float>(T * kC),
                    .post = memory.room<float>(T * 4),
                    .comb = memory.room<float>(T * 16),
                    .T = T,
                    .n = kStreams,
                    .C = kC,
                    .sinkhorn_iters = 20,
                    .norm_eps = 1e-6f,
                    .hc_eps = 1e-6f};
  test::time_on_gpu(state, gpu, {}, 32, [&](int) { hc_pre(gpu, op); });
}

void BM_hc_post_cuda(benchmark::State& state) {
  const Result<CudaDevice*> opened = test::cuda_device();
  if (!opened.ok()) return state.SkipWithError(opened.error().to_string().c_str());
  CudaDevice& gpu = **opened;
  test::CudaMemory memory(gpu);
  const int64_t T = state.range(0);
  const HcPost op = {.x = memory.put(test::normal_floats(1, T * kStreams * kC)),
                     .u = memory.put(test::normal_floats(2, T * kC)),
                     .post = memory.put(std::vector<float>(static_cast<size_t>(T * 4), 0.1f)),
                     .comb = memory.put(std::vector<float>(static_cast<size_t>(T * 16), 0.25f)),
                     .T = T,
                     .n = kStreams,
                     .C = kC};
  test::time_on_gpu(state, gpu, {}, 32, [&](int) { hc_post(gpu, op); });
}

void BM_rms_norm_cuda(benchmark::State& state) {
  const Result<CudaDevice*> opened = test::cuda_device();
  if (!opened.ok()) return state.SkipWithError(opened.error().to_string().c_str());
  CudaDevice& gpu = **opened;
  test::CudaMemory memory(gpu);
  const int64_t T = state.range(0);
  const RmsNorm op = {.x = memory.put(test::normal_floats(1, T * kC)),
                      .gain = memory.put(test::normal_floats(2, kC)),
                      .y = memory.room<float>(T * kC),
                      .T = T,
                      .C = kC,
                      .x_stride = kC,
                      .y_stride = kC,
                      .eps = 1e-6f};
  test::time_on_gpu(state, gpu, {}, 32, [&](int) { rms_norm(gpu, op); });
}

void BM_router_cuda(benchmark::State& state) {
  const Result<CudaDevice*> opened = test::cuda_device();
  if (!opened.ok()) return state.SkipWithError(opened.error().to_string().c_str());
  CudaDevice& gpu = **opened;
  test::CudaMemory memory(gpu);
  const int64_t T = state.range(0);
  const Router op = {.logits = memory.put(test::normal_floats(1, T * 256)),
                     .bias = memory.put(test::normal_floats(2, 256)),
                     .experts = memory.room<int32_t>(T * 6),
                     .weights = memory.room<float>(T * 6),
                     .T = T,
                     .E = 256,
                     .K = 6,
                     .route_scale = 1.5f};
  test::time_on_gpu(state, gpu, {}, 32, [&](int) { router(gpu, op); });
}

BENCHMARK(BM_hc_pre_cuda)->Apply(test::gpu_timing)->ArgName("T")->Arg(1)->Arg(64);
BENCHMARK(BM_hc_post_cuda)->Apply(test::gpu_timing)->ArgName("T")->Arg(1)->Arg(64);
BENCHMARK(BM_rms_norm_cuda)->Apply(test::gpu_timing)->ArgName("T")->Arg(1)->Arg(64);
BENCHMARK(BM_router_cuda)->Apply(test::gpu_timing)->ArgName("T")->Arg(1)->Arg(64);

}  // namespace
}  // namespace hadal::ops
