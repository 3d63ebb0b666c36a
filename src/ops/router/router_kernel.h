// Scores and choice of experts for one token. The scores are vector arithmetic; the choice is one pass over the keys
// that compares sixteen at a time with the worst key chosen so far, which few of them beat: about K ln(E / K)
// insertions.
#pragma once

#include "ops/f32x16.h"
#include "ops/f32x16_math.h"
#include "ops/router/router.h"
#include "ops/tasks.h"

namespace hadal::ops {
namespace {

constexpr int64_t kExpertsMax = 4096;
constexpr int64_t kChosenMax = 64;

// f of every lane of in[0, n) into out; what lies in out behind n is overwritten up to the next multiple of 16.
template <class F>
inline void map_lanes(const float* in, float* out, int64_t n, const F& f) {
  const int64_t whole = n / 16 * 16;
  for (int64_t i = 0; i < whole; i += 16) store(out + i, f(load(in + i)));
  if (whole < n) store(out + whole, f(load_first(in + whole, n - whole)));
}

// s = softmax(g), the sum by ascending expert. Out of line: no released model comes here.
[[gnu::noinline]] void softmax_scores(const float* g, float* s, int64_t E) {
  float largest = g[0];
  for (int64_t e = 1; e < E; ++e) largest = g[e] > largest ? g[e] : largest;
  const F32x16 shift = broadcast(largest);
  map_lanes(g, s, E, [&](F32x16 v) { return exp_nonpositive(v - shift); });
  float total = 0;
  for (int64_t e = 0; e < E; ++e) total += s[e];
  for (int64_t e = 0; e < E; ++e) s[e] /= total;
}

// Scores that need no other expert's logit.
inline void own_scores(RouterScore score, const float* g, float* s, int64_t n) {
  if (score == RouterScore::kSigmoid) {
    map_lanes(g, s, n, [](F32x16 v) { return sigmoid(v); });
  } else {
    map_lanes(g, s, n, [](F32x16 v) { return sqrt(softplus(v)); });
  }
}

inline void sort_ascending(int32_t* ids, int64_t n) {
  for (int64_t i = 1; i < n; ++i) {
    const int32_t id = ids[i];
    int64_t at = i;
    for (; at > 0 && ids[at - 1] > id; --at) ids[at] = ids[at - 1];
    ids[at] = id;
  }
}

// The K experts with the largest keys, best first; of equal keys the lower id.
struct Chosen {
  float key[kChosenMax];
  int32_t id[kChosenMax];
  int64_t n = 0;

  // Ids come in ascending order, so an equal key goes behind. The last one falls out when there are K.
  void insert(float new_key, int64_t new_id, int64_t K) {
    int64_t at = n < K ? n++ : K - 1;
    for (; at > 0 && key[at - 1] < new_key; --at) {
      key[at] = key[at - 1];
      id[at] = id[at - 1];
    }
    key[at] = new_key;
    id[at] = static_cast<int32_t>(new_id);
  }
};

inline void choose_largest(const float* key, int64_t E, int64_t K, int32_t* experts) {
  Chosen chosen;
  for (int64_t e = 0; e < K; ++e) chosen.insert(key[e], e, K);
  for (int64_t e = K; e < E; e += 16) {
    const int64_t lanes = E - e < 16 ? E - e : 16;
    uint32_t better = greater(load(key + e), broadcast(chosen.key[K - 1])) & ((1u << lanes) - 1);
    for (; better != 0; better &= better - 1) {
      const int64_t candidate = e + __builtin_ctz(better);
      if (key[candidate] > chosen.key[K - 1]) chosen.insert(key[candidate], candidate, K);
    }
  }
  for (int64_t i = 0; i < K; ++i) experts[i] = chosen.id[i];
}

// The sum of the two largest of key[0, n), or the one that there is.
inline float best_two(const float* key, int64_t n) {
  if (n == 1) return key[0];
  float first = key[0] > key[1] ? key[0] : key[1];
  float second = key[0] > key[1] ? key[1] : key[0];
  for (int64_t e = 2; e < n; ++e) {
    if (key[e] > first) {
      second = first;
      first = key[e];
    } else if (key[e] > second) {
      second = key[e];
    }
  }
  return first + second;
}

// Keys of experts outside the best groups become minus infinity. Released models keep 4 of 8: a group is kept unless
// n_limited_groups others are better.
inline void drop_groups(const Router& op, float* key) {
  const int64_t size = op.E / op.n_groups;
  float sum[kExpertsMax];
  for (int64_t g = 0; g < op.n_groups; ++g) sum[g] = best_two(key + g * size, size);
  for (int64_t g = 0; g < op.n_groups; ++g) {
    int64_t n_better = 0;
    for (int64_t other = 0; other < op.n_groups; ++other) {
      n_better += sum[other] > sum[g] || (sum[other] == sum[g] && other < g);
    }
    if (n_better < op.n_limited_groups) continue;
    for (int64_t e = g * size; e < (g + 1) * size; ++e) key[e] = -__builtin_inff();
  }
}

inline void route_token(const Router& op, int64_t t) {
  const float* g = op.logits + t * op.E;
  int32_t* experts = op.experts + t * op.K;
  float* weights = op.weights + t * op.K;
  const bool is_hash = op.tid2eid != nullptr;
  const bool needs_all = !is_hash || op.score == RouterScore::kSoftmax;

  // Sixteen more, because whole registers are stored, and loaded from any expert on.
  float s[kExpertsMax + 16];
  if (op.score == RouterScore::kSoftmax) {
    softmax_scores(g, s, op.E);
  } else if (needs_all) {
    own_scores(op.score, g, s, op.E);
  }

  if (is_hash) {
    const int32_t* row = op.tid2eid + static_cast<int64_t>(op.token_ids[t]) * op.K;
    for (int64_t i = 0; i < op.K; ++i) experts[i] = row[i];
  } else {
    float key[kExpertsMax + 16];
    for (int64_t e = 0; e < op.E; ++e) key[e] = op.bias == nullptr ? s[e] : s[e] + op.bias[e];
    if (op.n_limited_groups < op.n_groups) drop_groups(op, key);
    choose_largest(key, op.E, op.K, experts);
  }
  sort_ascending(experts, op.K);

  if (needs_all) {
    for (int64_t i = 0; i < op.K; ++i) weights[i] = s[experts[i]];
  } else {
    float chosen_g[kChosenMax];
    for (int64_t i = 0; i < op.K; ++i) chosen_g[i] = g[experts[i]];
    own_scores(op.score, chosen_g, s, op.K);
    for (int64_t i = 0; i < op.K; ++i) weights[i] = s[i];
  }
  float total = 0;
  for (int64_t i = 0; i < op.K; ++i) total += weights[i];
  for (int64_t i = 0; i < op.K; ++i) {
    if (op.score != RouterScore::kSoftmax) weights[i] /= total;
    weights[i] *= op.route_scale;
  }
}

inline void router_tokens(CpuDevice& cpu, const Router& op) {
  // Arithmetic, not bytes: an expert's score costs as much as moving about 64 bytes.
  cpu.pool().for_slices(op.T, rows_per_task(64 * op.E), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) route_token(op, t);
  });
}

}  // namespace
}  // namespace hadal::ops
