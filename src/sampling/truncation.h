// Cutting the unlikely tokens off a distribution: top-k, top-p (nucleus), min-p.
//
//   top-k   the k tokens with the largest logits
//   top-p   the shortest prefix of the tokens, heaviest first, whose weights sum to at least p * total
//           (Holtzman et al. 2020, "The curious case of neural text degeneration", section 3.1)
//   min-p   the tokens with weight >= min_p * weight of the best one (Nguyen et al. 2024, "Turning up the heat")
//
// Equals are ordered by id: the lower one counts as better. Nothing here sorts the vocabulary: a set is found by its
// last member (quickselect), and every set is kept in the order of its ids, so that a result does not depend on how the
// standard library partitions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace hadal {

struct RankedLogit {
  float logit;
  TokenId id;
};

// Larger logits first, lower ids first among equals.
inline bool ranks_before(const RankedLogit& a, const RankedLogit& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

struct Candidate {
  uint64_t weight;
  TokenId id;
};

// Heavier first, lower ids first among equals.
inline bool ranks_before(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
}

// best = the k highest-ranked of the logits, in the order of ids, less those of -infinity; all of them when there are
// no more than k. k > 0, no NaN. `work` is scratch. One pass that skips what is not above the k-th best so far;
// expected O(V + k log(V / k)), worst O(V).
void select_top_k(std::span<const float> logits, int64_t k, std::vector<RankedLogit>& best,
                  std::vector<RankedLogit>& work);

// The smallest sum of weights that is at least the share p of the total, and at least 1.
uint64_t share_of(uint64_t total, double p);

// The smallest weight that min_p lets live; at least 1, so that what has no weight is never a candidate.
uint64_t least_weight(double min_p);

// Keeps the shortest prefix by rank whose weights sum to `need` or more; all when they do not. Input and output are in
// the order of ids. `work` is scratch. Expected O(n).
void keep_nucleus(std::vector<Candidate>& candidates, uint64_t need, std::vector<Candidate>& work);

}  // namespace hadal
