#include "ops/compress/compress.h"

#include "testing/compare.h"
#include "testing/cuda.h"

namespace hadal::ops {
namespace {

class CompressCuda : public test::CudaTest {};

TEST_F(CompressCuda, agrees_with_the_reference_and_groups_stand_alone) {
  struct Case {
    int64_t m, d, coff;
    bool has_previous;
  };
  for (const Case& c :
       {Case{4, 512, 2, true}, Case{4, 512, 2, false}, Case{128, 512, 1, false}, Case{4, 128, 2, true}}) {
    constexpr int64_t kGroups = 3, kRopeDim = 64;
    const int64_t width = c.coff * c.d;
    const int64_t rows = (kGroups + (c.has_previous ? 1 : 0)) * c.m;
    const std::vector<float> k = test::normal_floats(1, rows * width);
    const std::vector<float> z = test::normal_floats(2, rows * width, 3);
    const std::vector<float> ape = test::normal_floats(3, c.m * width);
    const std::vector<float> gain = test::normal_floats(4, c.d);
    const std::vector<float> cos_sin = test::normal_floats(5, kGroups * kRopeDim, 0.7f);
    std::vector<float> want(static_cast<size_t>(kGroups * c.d));
    Compress op = {.k = k.data(),
                   .z = z.data(),
                   .ape = ape.data(),
                   .gain = gain.data(),
                   .cos_sin = cos_sin.data(),
                   .out = want.data(),
                   .m = c.m,
                   .d = c.d,
                   .coff = c.coff,
                   .rope_dim = kRopeDim,
                   .n_groups = kGroups,
                   .has_previous = c.has_previous,
                   .eps = 1e-6f};
    compress_reference(cpu(), op);
    op.k = memory().put(k);
    op.z = memory().put(z);
    op.ape = memory().put(ape);
    op.gain = memory().put(gain);
    op.cos_sin = memory().put(cos_sin);
    op.out = memory().room<float>(kGroups * c.d);
    compress(gpu(), op);
    const std::vector<float> got = memory().get(op.out, kGroups * c.d);
    // The contract's 8e-6 of the gain's size, which goes to 4 here, and rotation adds two of them.
    EXPECT_TRUE(test::within(got, want, {.rtol = 1e-5, .atol = 6e-5})) << c.m << " " << c.d;

    Compress last = op;
    last.out = memory().room<float>(c.d);
    last.n_groups = 1;
    last.has_previous = c.coff == 2;
    const int64_t first_row = rows - c.m * (last.has_previous ? 2 : 1);
    last.k = op.k + first_row * width;
    last.z = op.z + first_row * width;
    last.cos_sin = op.cos_sin + (kGroups - 1) * kRopeDim;
    compress(gpu(), last);
    EXPECT_TRUE(
        test::same_bits(memory().get(last.out, c.d), std::span<const float>(got).last(static_cast<size_t>(c.d))));
  }
}

TEST_F(CompressCuda, a_list_gives_the_bits_of_one_op) {
  constexpr int64_t m = 4, d = 512, kGroups = 40, kRopeDim = 64;
  const Compress whole = {.k = memory().put(test::normal_floats(1, kGroups * m * d)),
                          .z = memory().put(test::normal_floats(2, kGroups * m * d, 3)),
                          .gain = memory().put(test::normal_floats(3, d)),
                          .cos_sin = memory().put(test::normal_floats(4, kGroups * kRopeDim, 0.7f)),
                          .out = memory().room<float>(kGroups * d),
                          .m = m,
                          .d = d,
                          .coff = 1,
                          .rope_dim = kRopeDim,
                          .n_groups = kGroups,
                          .eps = 1e-6f};
  compress(gpu(), whole);
  const std::vector<float> want = memory().get(whole.out, kGroups * d);
  for (const std::vector<int64_t>& lengths :
       {std::vector<int64_t>{1, 39}, {20, 0, 1, 19}, std::vector<int64_t>(40, 1)}) {
    std::vector<Compress> ops;
    float* out = memory().room<float>(kGroups * d);
    int64_t group = 0;
    for (const int64_t n : lengths) {
      Compress op = whole;
      op.k += group * m * d;
      op.z += group * m * d;
      op.cos_sin += group * kRopeDim;
      op.out = out + group * d;
      op.n_groups = n;
      ops.push_back(op);
      group += n;
    }
    compress(gpu(), ops);
    EXPECT_TRUE(test::same_bits(memory().get(out, kGroups * d), want)) << lengths.size();
  }
}

}  // namespace
}  // namespace hadal::ops
