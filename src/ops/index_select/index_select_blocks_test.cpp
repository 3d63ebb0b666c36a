// Two-level choice: the best blocks of entries, and the entries chosen within blocks.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "ops/index_select/index_select.h"
#include "testing/compare.h"
#include "testing/golden.h"
#include "testing/ops.h"

namespace hadal::ops {
namespace {

constexpr int64_t kD = 32;

// Keys in one page, and what some tokens ask of them.
struct Problem {
  int64_t T, H, topk, block_size, topk_blocks;
  std::vector<float> q, w, keys;
  std::vector<int64_t> visible;

  struct Choice {
    std::vector<int32_t> blocks, chosen;
    std::vector<int64_t> n_blocks, n_chosen;
    std::vector<float> scores;
    friend bool operator==(const Choice&, const Choice&) = default;
  };

  int64_t n_keys() const { return static_cast<int64_t>(keys.size()) / kD; }

  // The best blocks of all entries (is_full), or the choice within `in`'s.
  Choice run(CpuDevice& cpu, const Version<IndexSelect>& version, const Choice* in) const {
    Choice out;
    out.blocks.assign(static_cast<size_t>(T * topk_blocks), -1);
    out.n_blocks.assign(static_cast<size_t>(T), 0);
    out.chosen.assign(static_cast<size_t>(T * topk), -1);
    out.n_chosen.assign(static_cast<size_t>(T), 0);
    out.scores.assign(static_cast<size_t>(T * n_keys()), 0.0f);
    const auto* page = reinterpret_cast<const std::byte*>(keys.data());
    version.run(cpu, {.q = q.data(),
                      .w = w.data(),
                      .keys = {.pages = &page, .rows_per_page = n_keys(), .offset = 0, .row_bytes = 4 * kD},
                      .visible = visible.data(),
                      .chosen = out.chosen.data(),
                      .n_chosen = out.n_chosen.data(),
                      .scores = out.scores.data(),
                      .scores_stride = n_keys(),
                      .T = T,
                      .H = H,
                      .D = kD,
                      .topk = topk,
                      .block_size = block_size,
                      .topk_blocks = topk_blocks,
                      .best_blocks = in == nullptr ? out.blocks.data() : nullptr,
                      .n_best_blocks = in == nullptr ? out.n_blocks.data() : nullptr,
                      .in_blocks = in == nullptr ? nullptr : in->blocks.data(),
                      .n_in_blocks = in == nullptr ? nullptr : in->n_blocks.data()});
    return out;
  }
};

// Entries whose scores are given: of two heads with opposite queries and weights, the sum is the dot product itself.
Problem with_scores(const test::GoldenFile& golden, const std::string& name, int64_t block_size, int64_t topk_blocks,
                    int64_t topk, int64_t token) {
  const std::span<const float> scores = golden.f32(name + "scores");
  const int64_t n = golden.shape(name + "scores")[1];
  Problem p{.T = 1,
            .H = 2,
            .topk = topk,
            .block_size = block_size,
            .topk_blocks = topk_blocks,
            .q = {},
            .w = {1, -1},
            .keys = {},
            .visible = {}};
  p.q.assign(2 * kD, 0.0f);
  p.q[0] = 1;
  p.q[kD] = -1;
  p.visible = {golden.i32(name + "lens")[static_cast<size_t>(token)]};
  p.keys.assign(static_cast<size_t>(n * kD), 0.0f);
  for (int64_t j = 0; j < p.visible[0]; ++j) {
    p.keys[static_cast<size_t>(j * kD)] = scores[static_cast<size_t>(token * n + j)];
  }
  return p;
}

TEST(IndexSelectBlocks, every_version_agrees_with_the_goldens) {
  const test::GoldenFile golden("layers/indexer.safetensors");
  struct Case {
    const char* name;
    int64_t block_size, topk_blocks, topk;
  };
  for (const Case& c : {Case{"b0.", 8, 4, 12}, Case{"b1.", 4, 6, 16}}) {
    const std::string name = c.name;
    const int64_t n = golden.shape(name + "scores")[1];
    for (int64_t token = 0; token < golden.shape(name + "scores")[0]; ++token) {
      const Problem p = with_scores(golden, name, c.block_size, c.topk_blocks, c.topk, token);
      test::for_each_version(index_select_versions(), [&](const Version<IndexSelect>& version) {
        CpuDevice cpu({.n_threads = 2, .level = version.level});
        const Problem::Choice full = p.run(cpu, version, nullptr);
        const Problem::Choice within = p.run(cpu, version, &full);
        for (int64_t j = 0; j < p.visible[0]; ++j) {
          const auto block = static_cast<int32_t>(j / c.block_size);
          const bool is_in = std::count(full.blocks.begin(), full.blocks.begin() + full.n_blocks[0], block) > 0;
          EXPECT_EQ(is_in, golden.u8(name + "candidates")[static_cast<size_t>(token * n + j)] != 0)
              << name << " token " << token << " entry " << j;
        }
        const auto selected = golden.i32(name + "selected").subspan(static_cast<size_t>(token * c.topk));
        for (int64_t i = 0; i < c.topk; ++i) {
          const int32_t got = i < within.n_chosen[0] ? within.chosen[static_cast<size_t>(i)] : -1;
          EXPECT_EQ(got, selected[static_cast<size_t>(i)]) << name << " token " << token << " slot " << i;
        }
      });
    }
  }
}

TEST(IndexSelectBlocks, every_version_agrees_with_the_reference_on_random_shapes) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 60; ++round) {
    Problem p{.T = 1 + static_cast<int64_t>(random() % 14),
              .H = 8,
              .topk = 1 + static_cast<int64_t>(random() % 30),
              .block_size = int64_t{1} << random() % 5,
              .topk_blocks = 0,
              .q = {},
              .w = {},
              .keys = {},
              .visible = {}};
    p.topk_blocks = (p.topk + p.block_size - 1) / p.block_size + static_cast<int64_t>(random() % 20);
    const auto n_keys = 1 + static_cast<int64_t>(random() % 3000);
    // Small integers: sums are exact, so that all versions choose alike, and ties are many.
    const auto fill = [&](std::vector<float>& x, int64_t n) {
      x.resize(static_cast<size_t>(n));
      for (float& v : x) v = static_cast<float>(static_cast<int>(random() % 5) - 2);
    };
    fill(p.q, p.T * p.H * kD);
    fill(p.w, p.T * p.H);
    fill(p.keys, n_keys * kD);
    for (int64_t t = 0; t < p.T; ++t) {
      p.visible.push_back(static_cast<int64_t>(random() % static_cast<uint32_t>(n_keys + 1)));
    }
    CpuDevice one({.n_threads = 1});
    const Problem::Choice want = p.run(one, index_select_versions().front(), nullptr);
    const Problem::Choice want_within = p.run(one, index_select_versions().front(), &want);
    test::for_each_version(index_select_versions(), [&](const Version<IndexSelect>& version) {
      for (const int n_threads : {1, 3}) {
        CpuDevice cpu({.n_threads = n_threads});
        const Problem::Choice got = p.run(cpu, version, nullptr);
        EXPECT_TRUE(got == want) << "round " << round << ", " << n_threads << " threads";
        EXPECT_TRUE(p.run(cpu, version, &want) == want_within) << "round " << round << ", " << n_threads << " threads";
      }
    });
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace hadal::ops
