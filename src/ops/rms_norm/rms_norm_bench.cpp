// Decode norms one hidden row and the 64 heads of a token; prefill thousands of rows.
#include "ops/rms_norm/rms_norm.h"
#include "testing/op_bench.h"

namespace hadal::ops {
namespace {

struct Problem {
  std::vector<float> x;
  std::vector<float> gain;
  std::vector<float> y;
  RmsNorm op;

  Problem(int64_t T, int64_t C, bool has_gain)
      : x(static_cast<size_t>(T * C), 0.5f), gain(static_cast<size_t>(C), 1.0f), y(x.size()) {
    op = {.x = x.data(),
          .gain = has_gain ? gain.data() : nullptr,
          .y = y.data(),
          .T = T,
          .C = C,
          .x_stride = C,
          .y_stride = C,
          .eps = 1e-6f};
  }
};

[[maybe_unused]] const bool kRegistered = [] {
  const auto add = [](const std::string& shape, int64_t T, int64_t C, bool has_gain) {
    const auto n = static_cast<double>(T * C);
    test::register_op("rms_norm", shape, rms_norm_versions(), {.bytes = 8 * n, .flops = 4 * n},
                      [=] { return Problem(T, C, has_gain); });
  };
  add("T1_C4096", 1, 4096, true);
  add("heads_T64_C512", 64, 512, false);
  add("T2048_C4096", 2048, 4096, true);
  return true;
}();

}  // namespace
}  // namespace hadal::ops
