// mla_absorb: every version against the reference and the equalities of the contract; and the whole absorbed form,
// through sparse_attention and mla_expand, against the naive form, which makes every key and value.

#include "ops/mla_absorb/mla_absorb.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include "ops/kv_rows/kv_rows.h"
#include "ops/linear/linear.h"
#include "ops/mla_expand/mla_expand.h"
#include "ops/sparse_attention/sparse_attention.h"
#include "testing/latent_weights.h"
#include "testing/ops.h"
#include "testing/weights.h"

namespace hadal::ops {
namespace {

using test::random_floats;
using test::StoredMatrix;
using test::within;

struct Sizes {
  int64_t H, nope_dim, rope_dim, value_dim, latent_dim;
};

struct Problem {
  Problem(const Sizes& of, std::shared_ptr<const StoredMatrix> w, int64_t n_tokens, uint32_t seed)
      : T(n_tokens),
        sizes(of),
        wkv_b(std::move(w)),
        q(random_floats(seed, T * sizes.H * (sizes.nope_dim + sizes.rope_dim))) {}

  Problem(const Sizes& of, DType dtype, int64_t n_tokens, uint32_t seed)
      : Problem(of, random_weights(of, dtype, seed), n_tokens, seed) {}

  static std::shared_ptr<const StoredMatrix> random_weights(const Sizes& of, DType dtype, uint32_t seed) {
    std::mt19937 random(seed);
    return std::make_shared<const StoredMatrix>(
        StoredMatrix::random(random, dtype, of.H * (of.nope_dim + of.value_dim), of.latent_dim));
  }

  std::vector<float> run(void (*version)(CpuDevice&, const MlaAbsorb&), CpuDevice& cpu, int64_t first,
                         int64_t n) const {
    std::vector<float> y(static_cast<size_t>(n * sizes.H * (sizes.latent_dim + sizes.rope_dim)), NAN);
    version(cpu, {.q = q.data() + first * sizes.H * (sizes.nope_dim + sizes.rope_dim),
                  .wkv_b = wkv_b->weight,
                  .y = y.data(),
                  .T = n,
                  .H = sizes.H,
                  .nope_dim = sizes.nope_dim,
                  .rope_dim = sizes.rope_dim,
                  .value_dim = sizes.value_dim,
                  .latent_dim = sizes.latent_dim});
    return y;
  }

  int64_t T;
  Sizes sizes;
  std::shared_ptr<const StoredMatrix> wkv_b;
  std::vector<float> q;
};

// Those of the fixtures, heads that share a tile of scales, sizes around the tiles, one head of the release.
constexpr Sizes kSizes[] = {{4, 32, 16, 24, 32}, {4, 32, 16, 32, 128}, {3, 7, 4, 5, 80}, {1, 128, 64, 128, 512}};

TEST(MlaAbsorb, every_version_agrees_with_the_reference_for_every_stored_type) {
  for (const Sizes& sizes : kSizes) {
    for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kF8E4M3, DType::kF4E2M1}) {
      if (dtype == DType::kF4E2M1 && sizes.latent_dim % 32 != 0) continue;
      for (const int64_t T : {1, 6}) {
        const Problem p(sizes, dtype, T, static_cast<uint32_t>(sizes.latent_dim + T));
        CpuDevice cpu({.n_threads = 2});
        const std::vector<float> want = p.run(mla_absorb_reference, cpu, 0, T);
        test::for_each_version(mla_absorb_versions(), [&](const Version<MlaAbsorb>& version) {
          // nope_dim products of size up to about 8, each rounded once into the chain.
          EXPECT_TRUE(within(p.run(version.run, cpu, 0, T), want, {.rtol = 1e-5, .atol = 1e-4})) << dtype_name(dtype);
        });
        test::expect_vector_versions_agree_to_the_bit(mla_absorb_versions(), p);
      }
    }
  }
}

TEST(MlaAbsorb, every_version_agrees_with_the_reference_for_all_heads_of_the_release) {
  constexpr Sizes kV3 = {test::kV3Heads, test::kV3NopeDim, test::kV3RopeDim, test::kV3ValueDim, test::kV3LatentDim};
  const Problem p(kV3, test::v3_wkv_b(), 3, 4);
  CpuDevice cpu({.n_threads = 3});
  const std::vector<float> want = p.run(mla_absorb_reference, cpu, 0, p.T);
  test::for_each_version(mla_absorb_versions(), [&](const Version<MlaAbsorb>& version) {
    EXPECT_TRUE(within(p.run(version.run, cpu, 0, p.T), want, {.rtol = 1e-5, .atol = 1e-4}));
  });
}

TEST(MlaAbsorb, a_token_gives_the_same_bits_alone_in_a_batch_and_with_threads) {
  for (const Sizes& sizes : kSizes) {
    test::expect_rows_do_not_depend_on_company(mla_absorb_versions(), Problem(sizes, DType::kF8E4M3, 11, 5));
  }
}

// --- absorbed = naive ------------------------------------------------------------------------------------------------

// One sequence: rows [latent | rotated key] of S positions, the last T of which are queries too.
struct Attention {
  Sizes sizes;
  int64_t T, S;
  float scale;
  std::vector<float> q, rows;
  Weight wkv_b;

  int64_t row_dim() const { return sizes.latent_dim + sizes.rope_dim; }
  int64_t q_dim() const { return sizes.nope_dim + sizes.rope_dim; }

  double weight(int64_t h, int64_t row, int64_t c) const {
    return static_cast<double>(weight_at(wkv_b, h * (sizes.nope_dim + sizes.value_dim) + row, c));
  }
  double latent_product(int64_t h, int64_t row, int64_t s) const {
    double sum = 0;
    for (int64_t c = 0; c < sizes.latent_dim; ++c) {
      sum += weight(h, row, c) * static_cast<double>(rows[static_cast<size_t>(s * row_dim() + c)]);
    }
    return sum;
  }

  // k = [W_UK c | k_rope], v = W_UV c, softmax(scale q . k) v: deepseek-v3.md, section 4. [T, H, value_dim]
  std::vector<float> naive() const {
    std::vector<float> out;
    for (int64_t t = 0; t < T; ++t) {
      for (int64_t h = 0; h < sizes.H; ++h) {
        const float* x = q.data() + (t * sizes.H + h) * q_dim();
        const int64_t visible = S - T + t + 1;
        std::vector<double> p;
        for (int64_t s = 0; s < visible; ++s) {
          double logit = 0;
          for (int64_t d = 0; d < sizes.nope_dim; ++d) logit += static_cast<double>(x[d]) * latent_product(h, d, s);
          for (int64_t r = 0; r < sizes.rope_dim; ++r) {
            logit += static_cast<double>(x[sizes.nope_dim + r]) *
                     static_cast<double>(rows[static_cast<size_t>(s * row_dim() + sizes.latent_dim + r)]);
          }
          p.push_back(logit * static_cast<double>(scale));
        }
        const double largest = *std::max_element(p.begin(), p.end());
        double sum = 0;
        for (double& v : p) sum += v = std::exp(v - largest);
        for (int64_t v = 0; v < sizes.value_dim; ++v) {
          double o = 0;
          for (int64_t s = 0; s < visible; ++s) {
            o += p[static_cast<size_t>(s)] / sum * latent_product(h, sizes.nope_dim + v, s);
          }
          out.push_back(static_cast<float>(o));
        }
      }
    }
    return out;
  }

  // What the forward pass does: queries to latents, attention over them, latents to values.
  std::vector<float> absorbed(CpuDevice& cpu) const {
    std::vector<float> queries(static_cast<size_t>(T * sizes.H * row_dim()));
    mla_absorb(cpu, {.q = q.data(),
                     .wkv_b = wkv_b,
                     .y = queries.data(),
                     .T = T,
                     .H = sizes.H,
                     .nope_dim = sizes.nope_dim,
                     .rope_dim = sizes.rope_dim,
                     .value_dim = sizes.value_dim,
                     .latent_dim = sizes.latent_dim});
    const auto* page = reinterpret_cast<const std::byte*>(rows.data());
    std::vector<int64_t> visible;
    for (int64_t t = 0; t < T; ++t) visible.push_back(S - T + t + 1);
    std::vector<float> scratch(
        static_cast<size_t>(sparse_attention_scratch_bytes(cpu.pool().size(), sizes.H, row_dim(), S)) / 4);
    std::vector<float> z(static_cast<size_t>(T * sizes.H * sizes.latent_dim));
    sparse_attention(cpu, {.q = queries.data(),
                           .out = z.data(),
                           .sink = nullptr,
                           .T = T,
                           .H = sizes.H,
                           .D = row_dim(),
                           .value_dim = sizes.latent_dim,
                           .rope_dim = sizes.rope_dim,
                           .scale = scale,
                           .format = KvFormat::kF32,
                           .entries = {.pages = &page, .rows_per_page = S, .offset = 0, .row_bytes = 4 * row_dim()},
                           .n_chosen = visible.data(),
                           .scratch = reinterpret_cast<std::byte*>(scratch.data()),
                           .rows_max = S});
    const PackedRows packed{.format = RowFormat::kF32, .T = T, .groups = sizes.H, .K = sizes.latent_dim};
    std::vector<std::byte> bytes(static_cast<size_t>(packed_rows_bytes(T, sizes.H, sizes.latent_dim, RowFormat::kF32)) +
                                 64);
    PackedRows rows_of_z = packed;
    rows_of_z.data = bytes.data();
    pack_rows(cpu, {.x = z.data(),
                    .x_stride = sizes.H * sizes.latent_dim,
                    .rounding = ActivationRounding::kNone,
                    .out = rows_of_z});
    std::vector<float> out(static_cast<size_t>(T * sizes.H * sizes.value_dim));
    mla_expand(cpu, {.z = rows_of_z,
                     .wkv_b = wkv_b,
                     .y = out.data(),
                     .H = sizes.H,
                     .nope_dim = sizes.nope_dim,
                     .value_dim = sizes.value_dim});
    return out;
  }
};

std::vector<CpuLevel> levels() {
  std::vector<CpuLevel> all;
  for (const CpuLevel level : {CpuLevel::kPortable, CpuLevel::kAvx2, CpuLevel::kAvx512}) {
    if (level <= detected_cpu_level()) all.push_back(level);
  }
  return all;
}

TEST(Mla, the_absorbed_form_gives_the_worked_example) {
  // deepseek-v3.md, 14.3, widths padded by zeros to a whole vector: two heads, three positions, one query.
  constexpr Sizes kExample{2, 2, 16, 2, 16};
  const float w[8][3] = {{1, 0, 2}, {0, 1, -1}, {1, 1, 0}, {0, 2, 1}, {2, 1, 0}, {1, -1, 1}, {-1, 0, 1}, {1, 0, 2}};
  std::vector<float> wkv_b(8 * 16);
  for (size_t r = 0; r < 8; ++r) std::copy_n(w[r], 3, wkv_b.begin() + static_cast<int64_t>(r) * 16);
  const float c[3][3] = {{1, 0, 1}, {0, 2, -1}, {1, 1, 1}};
  const float k_rope[3][2] = {{1, 0}, {0, 1}, {1, 1}};
  const float q[2][4] = {{1, 2, 1, -1}, {-1, 1, 0, 2}};
  Attention example{
      .sizes = kExample,
      .T = 1,
      .S = 3,
      .scale = 0.5f,
      .q = std::vector<float>(2 * 18),
      .rows = std::vector<float>(3 * 32),
      .wkv_b = {.dtype = DType::kF32, .rows = 8, .cols = 16, .data = reinterpret_cast<const std::byte*>(wkv_b.data())}};
  for (size_t h = 0; h < 2; ++h) std::copy_n(q[h], 4, example.q.begin() + static_cast<int64_t>(h) * 18);
  for (size_t s = 0; s < 3; ++s) {
    std::copy_n(c[s], 3, example.rows.begin() + static_cast<int64_t>(s) * 32);
    std::copy_n(k_rope[s], 2, example.rows.begin() + static_cast<int64_t>(s) * 32 + 16);
  }
  const std::vector<float> want = {1.767303f, 2.534607f, -0.100368f, 2.498162f};
  EXPECT_TRUE(within(example.naive(), want, {.rtol = 0, .atol = 1e-6}));
  for (const CpuLevel level : levels()) {
    CpuDevice cpu({.n_threads = 1, .level = level});
    EXPECT_TRUE(within(example.absorbed(cpu), want, {.rtol = 0, .atol = 1e-6})) << cpu_level_name(level);
  }
}

TEST(Mla, the_absorbed_form_is_the_naive_form) {
  std::mt19937 random(12);
  for (const Sizes& sizes : {Sizes{4, 32, 16, 24, 32}, Sizes{4, 32, 16, 32, 128}, Sizes{2, 128, 64, 128, 512}}) {
    const StoredMatrix wkv_b =
        StoredMatrix::random(random, DType::kF8E4M3, sizes.H * (sizes.nope_dim + sizes.value_dim), sizes.latent_dim);
    Attention a{.sizes = sizes, .T = 5, .S = 40, .scale = 0, .q = {}, .rows = {}, .wkv_b = wkv_b.weight};
    // Scores a few units wide: a product sums latent_dim nope_dim terms of about unit size.
    a.scale = 2.0f / std::sqrt(static_cast<float>(sizes.latent_dim * sizes.nope_dim));
    a.q = random_floats(1, a.T * sizes.H * a.q_dim());
    a.rows = random_floats(2, a.S * a.row_dim());
    const std::vector<float> want = a.naive();
    for (const CpuLevel level : levels()) {
      CpuDevice cpu({.n_threads = 2, .level = level});
      // Values of about sqrt(latent_dim); float against double along three chained sums.
      EXPECT_TRUE(within(a.absorbed(cpu), want, {.rtol = 0, .atol = 2e-5 * std::sqrt(sizes.latent_dim) * 10}))
          << cpu_level_name(level);
    }
  }
}

}  // namespace
}  // namespace hadal::ops
