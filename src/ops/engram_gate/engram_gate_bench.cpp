// 4 streams of 5120: reads 260 KiB a token and writes 80 KiB.
#include "ops/engram_gate/engram_gate.h"
#include "testing/op_bench.h"

namespace hadal::ops {
namespace {

constexpr int64_t kStreams = 4, kHidden = 5120;

struct Problem {
  std::vector<float> x, key_value, weight;
  EngramGate op;

  explicit Problem(int64_t T)
      : x(static_cast<size_t>(T * kStreams * kHidden), 0.5f),
        key_value(static_cast<size_t>(T * (kStreams + 1) * kHidden), 0.25f),
        weight(static_cast<size_t>(kStreams * kHidden), 1.0f) {
    op = {.x = x.data(),
          .key_value = key_value.data(),
          .q_weight = weight.data(),
          .k_weight = weight.data(),
          .T = T,
          .n = kStreams,
          .C = kHidden,
          .eps = 1e-20f};
  }
};

[[maybe_unused]] const bool kRegistered = [] {
  for (const int64_t T : {1, 512}) {
    test::register_op("engram_gate", "T" + std::to_string(T) + "_n4_C5120", engram_gate_versions(),
                      {.bytes = static_cast<double>(T * kHidden * 4 * (3 * kStreams + 1))}, [=] { return Problem(T); });
  }
  return true;
}();

}  // namespace
}  // namespace hadal::ops
