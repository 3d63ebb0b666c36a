#include "sampling/truncation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "sampling/weights.h"

namespace hadal {
namespace {

// So many are collected beyond k before the k best of them are kept again: the partition's cost is shared by them.
constexpr size_t kSelectSlack = 256;
// Logits that are skipped together when none of them is good enough: 32 fill eight SSE registers.
constexpr size_t kSkipBlock = 32;

bool by_rank(const RankedLogit& a, const RankedLogit& b) {
  return ranks_before(a, b);
}
bool candidate_by_rank(const Candidate& a, const Candidate& b) {
  return ranks_before(a, b);
}

// Drops all but the k best, keeps the order, and returns the logit of the lowest-ranked one.
float keep_best(std::vector<RankedLogit>& best, size_t k, std::vector<RankedLogit>& work) {
  work.assign(best.begin(), best.end());
  const auto kth = work.begin() + static_cast<ptrdiff_t>(k) - 1;
  std::nth_element(work.begin(), kth, work.end(), by_rank);
  const RankedLogit last = *kth;
  std::erase_if(best, [&last](const RankedLogit& ranked) { return ranks_before(last, ranked); });
  return last.logit;
}

// Whether any of kSkipBlock logits is above the bound. Without branches, so that it vectorises.
bool any_above(const float* logits, float bound) {
  uint32_t n_above = 0;
  for (size_t i = 0; i < kSkipBlock; ++i) n_above += logits[i] > bound ? 1u : 0u;
  return n_above != 0;
}

uint64_t weight_sum(std::span<const Candidate> candidates) {
  uint64_t total = 0;
  for (const Candidate& candidate : candidates) total += candidate.weight;
  return total;
}

// The lowest-ranked member of the shortest prefix that sums to `need`, which is at most the sum of all. Halves the part
// of `work` in which that member lies: the sums of what lies before it depend on no order within.
Candidate last_of_nucleus(std::span<Candidate> work, uint64_t need) {
  while (work.size() > 1) {
    const size_t half = work.size() / 2;
    std::nth_element(work.begin(), work.begin() + static_cast<ptrdiff_t>(half), work.end(), candidate_by_rank);
    const uint64_t upper = weight_sum(work.first(half));
    if (upper >= need) {
      work = work.first(half);
    } else {
      need -= upper;
      work = work.subspan(half);
    }
  }
  return work[0];
}

}  // namespace

void select_top_k(std::span<const float> logits, int64_t k_wanted, std::vector<RankedLogit>& best,
                  std::vector<RankedLogit>& work) {
  HADAL_DCHECK(k_wanted > 0, "top-k keeps at least one token", k_wanted);
  const size_t k = std::min(static_cast<size_t>(k_wanted), logits.size());
  const size_t n_max = 2 * k + kSelectSlack;
  best.clear();
  best.reserve(n_max);
  work.reserve(n_max);
  // A later token must be strictly better than the k-th best: ids ascend, and the lower one wins a tie.
  float kth_best = -std::numeric_limits<float>::infinity();
  for (size_t begin = 0; begin < logits.size(); begin += kSkipBlock) {
    const size_t end = std::min(begin + kSkipBlock, logits.size());
    if (end - begin == kSkipBlock && !any_above(&logits[begin], kth_best)) continue;
    for (size_t i = begin; i < end; ++i) {
      if (!(logits[i] > kth_best)) continue;
      best.push_back({logits[i], static_cast<TokenId>(i)});
      if (best.size() == n_max) kth_best = keep_best(best, k, work);
    }
  }
  if (best.size() > k) keep_best(best, k, work);
}

uint64_t share_of(uint64_t total, double p) {
  if (p >= 1) return total;  // which a double may not hold
  const double need = std::ceil(p * static_cast<double>(total));
  return std::clamp<uint64_t>(static_cast<uint64_t>(need), 1, total);
}

uint64_t least_weight(double min_p) {
  return std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(min_p * static_cast<double>(kWeightOne))));
}

void keep_nucleus(std::vector<Candidate>& candidates, uint64_t need, std::vector<Candidate>& work) {
  if (weight_sum(candidates) <= need) return;
  work.assign(candidates.begin(), candidates.end());
  const Candidate last = last_of_nucleus(work, need);
  std::erase_if(candidates, [&last](const Candidate& candidate) { return ranks_before(last, candidate); });
}

}  // namespace hadal
