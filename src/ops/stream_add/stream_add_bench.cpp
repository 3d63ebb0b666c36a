// 4 streams of 4096: reads 80 KiB a token and writes 64 KiB.
#include "ops/stream_add/stream_add.h"
#include "testing/op_bench.h"

namespace hadal::ops {
namespace {

constexpr int64_t kStreams = 4, kHidden = 4096;

struct Problem {
  std::vector<float> x, u;
  StreamAdd op;

  explicit Problem(int64_t T) : x(static_cast<size_t>(T * kStreams * kHidden)), u(static_cast<size_t>(T * kHidden)) {
    op = {.x = x.data(), .u = u.data(), .T = T, .n = kStreams, .C = kHidden};
  }
};

[[maybe_unused]] const bool kRegistered = [] {
  for (const int64_t T : {1, 512}) {
    test::register_op("stream_add", "T" + std::to_string(T) + "_n4_C4096", stream_add_versions(),
                      {.bytes = static_cast<double>(T * kHidden * 4 * (2 * kStreams + 1))}, [=] { return Problem(T); });
  }
  return true;
}();

}  // namespace
}  // namespace hadal::ops
