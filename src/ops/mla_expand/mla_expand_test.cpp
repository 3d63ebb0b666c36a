// mla_expand: every version against the reference, and the equalities of the contract. That it is the last step of
// latent attention is shown in ops/mla_absorb/mla_absorb_test.cpp.

#include "ops/mla_expand/mla_expand.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <random>

#include "testing/latent_weights.h"
#include "testing/ops.h"
#include "testing/weights.h"

namespace hadal::ops {
namespace {

using test::random_floats;
using test::StoredMatrix;
using test::within;

struct Sizes {
  int64_t H, nope_dim, value_dim, latent_dim;
};

struct Problem {
  Problem(const Sizes& of, std::shared_ptr<const StoredMatrix> w, ActivationRounding with, int64_t n_tokens,
          uint32_t seed)
      : T(n_tokens),
        sizes(of),
        rounding(with),
        wkv_b(std::move(w)),
        z(random_floats(seed, T * sizes.H * sizes.latent_dim)) {}

  Problem(const Sizes& of, DType dtype, ActivationRounding with, int64_t n_tokens, uint32_t seed)
      : Problem(of, random_weights(of, dtype, seed), with, n_tokens, seed) {}

  static std::shared_ptr<const StoredMatrix> random_weights(const Sizes& of, DType dtype, uint32_t seed) {
    std::mt19937 random(seed);
    return std::make_shared<const StoredMatrix>(
        StoredMatrix::random(random, dtype, of.H * (of.nope_dim + of.value_dim), of.latent_dim));
  }

  std::vector<float> run(void (*version)(CpuDevice&, const MlaExpand&), CpuDevice& cpu, int64_t first,
                         int64_t n) const {
    const RowFormat format = row_format(rounding);
    std::vector<std::byte> bytes(static_cast<size_t>(packed_rows_bytes(n, sizes.H, sizes.latent_dim, format)) + 64);
    const PackedRows packed{.format = format, .T = n, .groups = sizes.H, .K = sizes.latent_dim, .data = bytes.data()};
    const int64_t width = sizes.H * sizes.latent_dim;
    pack_rows(cpu, {.x = z.data() + first * width, .x_stride = width, .rounding = rounding, .out = packed});
    std::vector<float> y(static_cast<size_t>(n * sizes.H * sizes.value_dim), NAN);
    version(cpu, {.z = packed,
                  .wkv_b = wkv_b->weight,
                  .y = y.data(),
                  .H = sizes.H,
                  .nope_dim = sizes.nope_dim,
                  .value_dim = sizes.value_dim});
    return y;
  }

  int64_t T;
  Sizes sizes;
  ActivationRounding rounding;
  std::shared_ptr<const StoredMatrix> wkv_b;
  std::vector<float> z;
};

// Those of the fixtures, values of odd width in the middle of tiles, two heads of the release.
constexpr Sizes kSizes[] = {{4, 32, 24, 32}, {4, 32, 32, 128}, {5, 50, 77, 96}, {2, 128, 128, 512}};

TEST(MlaExpand, every_version_agrees_with_the_reference_for_every_stored_type) {
  for (const Sizes& sizes : kSizes) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF8E4M3, DType::kF4E2M1}) {
      for (const ActivationRounding rounding : {ActivationRounding::kNone, ActivationRounding::kBf16}) {
        for (const int64_t T : {1, 9}) {
          const Problem p(sizes, dtype, rounding, T, static_cast<uint32_t>(sizes.latent_dim + T));
          CpuDevice cpu({.n_threads = 2});
          const std::vector<float> want = p.run(mla_expand_reference, cpu, 0, T);
          test::for_each_version(mla_expand_versions(), [&](const Version<MlaExpand>& version) {
            // As for linear: latent_dim products of size up to about 4.
            const double atol = 3e-5 * std::sqrt(static_cast<double>(sizes.latent_dim));
            EXPECT_TRUE(within(p.run(version.run, cpu, 0, T), want, {.rtol = 1e-5, .atol = atol}))
                << dtype_name(dtype) << " T " << T << " latent " << sizes.latent_dim;
          });
        }
      }
    }
  }
}

TEST(MlaExpand, every_version_agrees_with_the_reference_for_all_heads_of_the_release) {
  constexpr Sizes kV3 = {test::kV3Heads, test::kV3NopeDim, test::kV3ValueDim, test::kV3LatentDim};
  const Problem p(kV3, test::v3_wkv_b(), ActivationRounding::kBf16, 3, 4);
  CpuDevice cpu({.n_threads = 3});
  const std::vector<float> want = p.run(mla_expand_reference, cpu, 0, p.T);
  test::for_each_version(mla_expand_versions(), [&](const Version<MlaExpand>& version) {
    const double atol = 3e-5 * std::sqrt(static_cast<double>(kV3.latent_dim));
    EXPECT_TRUE(within(p.run(version.run, cpu, 0, p.T), want, {.rtol = 1e-5, .atol = atol}));
  });
}

TEST(MlaExpand, a_token_gives_the_same_bits_alone_in_a_batch_and_with_threads) {
  for (const Sizes& sizes : kSizes) {
    for (const DType dtype : {DType::kBF16, DType::kF8E4M3}) {
      const Problem p(sizes, dtype, ActivationRounding::kBf16, 10, 3);
      test::expect_rows_do_not_depend_on_company(mla_expand_versions(), p);
    }
  }
}

}  // namespace
}  // namespace hadal::ops
