#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "base/dtype.h"
#include "ops/index_select/index_select.h"

namespace hadal::ops {

void select_topk(const float* scores, int64_t n, int64_t k, int32_t* chosen) {
  std::vector<int32_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  const auto better = [scores](int32_t a, int32_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; };
  if (k < n) std::nth_element(order.begin(), order.begin() + k, order.end(), better);
  const int64_t count = std::min(k, n);
  std::sort(order.begin(), order.begin() + count);
  std::copy_n(order.begin(), count, chosen);
}

namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

void hide_other_blocks(const IndexSelect& op, int64_t t, std::vector<float>& scores) {
  const int32_t* blocks = op.in_blocks + t * op.topk_blocks;
  for (size_t j = 0; j < scores.size(); ++j) {
    const auto block = static_cast<int32_t>(static_cast<int64_t>(j) / op.block_size);
    if (!std::binary_search(blocks, blocks + op.n_in_blocks[t], block)) scores[j] = kHidden;
  }
}

void choose_blocks(const IndexSelect& op, int64_t t, const std::vector<float>& scores) {
  const auto visible = static_cast<int64_t>(scores.size());
  std::vector<float> best(static_cast<size_t>((visible + op.block_size - 1) / op.block_size), kHidden);
  for (int64_t j = 0; j < visible; ++j) {
    float& score = best[static_cast<size_t>(j / op.block_size)];
    score = std::max(score, scores[static_cast<size_t>(j)]);
  }
  if (!best.empty()) best.back() = std::numeric_limits<float>::infinity();
  const auto n_blocks = static_cast<int64_t>(best.size());
  op.n_best_blocks[t] = std::min(op.topk_blocks, n_blocks);
  select_topk(best.data(), n_blocks, op.topk_blocks, op.best_blocks + t * op.topk_blocks);
}

}  // namespace

void index_select_reference(CpuDevice&, const IndexSelect& op) {
  std::vector<float> key(static_cast<size_t>(op.D));
  std::vector<float> scores;
  std::vector<float> queries(static_cast<size_t>(op.H * op.D));
  for (int64_t t = 0; t < op.T; ++t) {
    const int64_t visible = op.visible[t];
    std::copy_n(op.q + t * op.H * op.D, op.H * op.D, queries.begin());
    if (op.keys.format == KvFormat::kFp4) fake_quantize_e2m1(queries.data(), static_cast<int>(op.H * op.D), 32);
    scores.assign(static_cast<size_t>(visible), 0.0f);
    for (int64_t j = 0; j < visible; ++j) {
      decode_row_reference(op.keys.format, op.keys.row(j), op.D, 0, key.data());
      double score = 0;
      for (int64_t h = 0; h < op.H; ++h) {
        const float* q = queries.data() + h * op.D;
        double dot = 0;
        for (int64_t d = 0; d < op.D; ++d)
          dot += static_cast<double>(q[d]) * static_cast<double>(key[static_cast<size_t>(d)]);
        score += static_cast<double>(op.w[t * op.H + h] * op.w_scale) * std::max(dot, 0.0);
      }
      scores[static_cast<size_t>(j)] = static_cast<float>(score);
    }
    if (op.in_blocks != nullptr) hide_other_blocks(op, t, scores);
    if (op.best_blocks != nullptr) choose_blocks(op, t, scores);
    const auto n_live = std::count_if(scores.begin(), scores.end(), [](float s) { return s > kHidden; });
    op.n_chosen[t] = std::min<int64_t>(op.topk, n_live);
    select_topk(scores.data(), visible, op.n_chosen[t], op.chosen + t * op.topk);
    if (op.scores != nullptr) std::copy(scores.begin(), scores.end(), op.scores + t * op.scores_stride);
  }
}

}  // namespace hadal::ops
