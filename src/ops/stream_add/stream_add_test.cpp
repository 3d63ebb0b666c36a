#include "ops/stream_add/stream_add.h"

#include <gtest/gtest.h>

#include "testing/ops.h"

namespace hadal::ops {
namespace {

struct Problem {
  int64_t T, n, C;
  std::vector<float> x, u;

  Problem(int64_t tokens, int64_t streams, int64_t channels)
      : T(tokens), n(streams), C(channels), x(test::random_floats(1, T * n * C)), u(test::random_floats(2, T * C)) {}

  std::vector<float> run(void (*version)(CpuDevice&, const StreamAdd&), CpuDevice& cpu, int64_t first,
                         int64_t count) const {
    std::vector<float> streams(x.begin() + first * n * C, x.begin() + (first + count) * n * C);
    version(cpu, {.x = streams.data(), .u = u.data() + first * C, .T = count, .n = n, .C = C});
    return streams;
  }
};

TEST(StreamAdd, every_version_gives_the_bits_of_the_reference) {
  CpuDevice cpu({.n_threads = 2});
  for (const Problem& p : {Problem(3, 4, 4096), Problem(5, 1, 24), Problem(0, 4, 8)}) {
    test::for_each_version(stream_add_versions(), [&](const Version<StreamAdd>& version) {
      EXPECT_TRUE(test::same_bits(p.run(version.run, cpu, 0, p.T), p.run(stream_add_reference, cpu, 0, p.T)));
    });
  }
}

TEST(StreamAdd, a_token_gives_the_same_bits_alone_in_a_batch_and_with_threads) {
  test::expect_rows_do_not_depend_on_company(stream_add_versions(), Problem(9, 4, 4096));
}

}  // namespace
}  // namespace hadal::ops
