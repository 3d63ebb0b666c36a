// Entries of CSA (ratio 4, overlapping) and HCA layers (ratio 128), and index keys: one group, as in decode once every
// m tokens, and the groups of a prefill of 2048 tokens. Operations: 2 passes over scores and 20 for an exponential.
#include "ops/compress/compress.h"
#include "ops/rope/rope.h"
#include "testing/op_bench.h"

namespace hadal::ops {
namespace {

constexpr int64_t kRopeDim = 64;

struct Problem {
  std::vector<float> k, z, ape, gain, cos_sin, out;
  Compress op;

  Problem(int64_t groups, int64_t m, int64_t d, int64_t coff)
      : k(static_cast<size_t>((groups + coff - 1) * m * coff * d), 0.5f),
        z(k.size()),
        ape(static_cast<size_t>(m * coff * d), 0.1f),
        gain(static_cast<size_t>(d), 1.0f),
        cos_sin(static_cast<size_t>(groups * kRopeDim), 0.7f),
        out(static_cast<size_t>(groups * d)) {
    for (size_t i = 0; i < z.size(); ++i) z[i] = static_cast<float>(i * 2654435761u % 4096) / 512.0f - 4;
    op = {.k = k.data(),
          .z = z.data(),
          .ape = ape.data(),
          .gain = gain.data(),
          .cos_sin = cos_sin.data(),
          .out = out.data(),
          .m = m,
          .d = d,
          .coff = coff,
          .rope_dim = kRopeDim,
          .n_groups = groups,
          .has_previous = coff == 2,
          .eps = 1e-6f};
  }
};

[[maybe_unused]] const bool kRegistered = [] {
  const auto add = [](const std::string& shape, int64_t groups, int64_t m, int64_t d, int64_t coff) {
    // Each row is read once from memory: the two halves of a row belong to two entries.
    const auto rows_read = static_cast<double>(groups * m * coff * d);
    test::register_op("compress", shape, compress_versions(), {.bytes = 8 * rows_read, .flops = 25 * rows_read},
                      [=] { return Problem(groups, m, d, coff); });
  };
  add("csa_1_group", 1, 4, 512, 2);
  add("csa_512_groups", 512, 4, 512, 2);
  add("index_512_groups", 512, 4, 128, 2);
  add("hca_1_group", 1, 128, 512, 1);
  add("hca_16_groups", 16, 128, 512, 1);
  return true;
}();

}  // namespace
}  // namespace hadal::ops
