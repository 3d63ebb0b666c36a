#include "ops/stream_add/stream_add.h"

#include "testing/compare.h"
#include "testing/cuda.h"

namespace hadal::ops {
namespace {

class StreamAddCuda : public test::CudaTest {};

TEST_F(StreamAddCuda, gives_the_bits_of_the_reference) {
  constexpr int64_t T = 5, n = 4, C = 4104;
  std::vector<float> x = test::normal_floats(1, T * n * C);
  const std::vector<float> u = test::normal_floats(2, T * C);
  StreamAdd op{.x = memory().put(x), .u = memory().put(u), .T = T, .n = n, .C = C};
  stream_add(gpu(), op);
  const std::vector<float> got = memory().get(op.x, T * n * C);
  stream_add_reference(cpu(), {.x = x.data(), .u = u.data(), .T = T, .n = n, .C = C});
  EXPECT_TRUE(test::same_bits(got, x));
}

}  // namespace
}  // namespace hadal::ops
