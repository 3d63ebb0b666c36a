#include "ops/moe/moe_blocks.h"

#include <algorithm>
#include <vector>

namespace hadal::ops {
namespace {

// One expert with the tokens that chose it. Pair p of (token, expert) has row p in the scratch; an expert's pairs are
// neighbours, tokens ascending.
struct Group {
  const ExpertWeights* expert;
  int64_t first_pair;
  int64_t n;
};

struct Pairs {
  std::vector<Group> groups;   // ascending expert ids, the shared expert last
  std::vector<int64_t> token;  // [pairs]
  std::vector<float> weight;   // [pairs]
};

Pairs group_by_expert(const Moe& op) {
  Pairs pairs;
  std::vector<int64_t> first(op.routed.size() + 1, 0);
  for (int64_t i = 0; i < op.T * op.K; ++i) ++first[static_cast<size_t>(op.experts[i]) + 1];
  for (size_t e = 0; e < op.routed.size(); ++e) {
    if (first[e + 1] > 0) pairs.groups.push_back({&op.routed[e], first[e], first[e + 1]});
    first[e + 1] += first[e];
  }
  const int64_t routed = op.T * op.K;
  const int64_t total = routed + (op.shared != nullptr ? op.T : 0);
  pairs.token.resize(static_cast<size_t>(total));
  pairs.weight.resize(static_cast<size_t>(total));
  for (int64_t t = 0; t < op.T; ++t) {
    for (int64_t i = t * op.K; i < (t + 1) * op.K; ++i) {
      const auto p = static_cast<size_t>(first[static_cast<size_t>(op.experts[i])]++);
      pairs.token[p] = t;
      pairs.weight[p] = op.weights[i];
    }
  }
  if (op.shared != nullptr) {
    pairs.groups.push_back({op.shared, routed, op.T});
    for (int64_t t = 0; t < op.T; ++t) {
      pairs.token[static_cast<size_t>(routed + t)] = t;
      pairs.weight[static_cast<size_t>(routed + t)] = 1.0f;
    }
  }
  return pairs;
}

}  // namespace

void moe_by_blocks(CpuDevice& cpu, const Moe& op, RowBlockKernel row_block, SwigluKernel swiglu_kernel) {
  const Pairs pairs = group_by_expert(op);
  const auto n_pairs = static_cast<int64_t>(pairs.token.size());
  const int64_t n_routed = op.T * op.K;
  const auto is_routed = [&](int64_t pair) { return pair < n_routed; };
  std::vector<const std::byte*> x_rows(static_cast<size_t>(n_pairs));
  for (int64_t p = 0; p < n_pairs; ++p) {
    const auto i = static_cast<size_t>(p);
    x_rows[i] = (is_routed(p) ? op.x : op.shared_x).row(pairs.token[i], 0);
  }

  // h of every pair: [n_pairs, I].
  auto* h = reinterpret_cast<float*>(op.scratch);
  const int64_t in_block = rows_per_task(op.routed[0].w1, op.T == 1 ? 1 : 2, cpu.pool().size());
  const int64_t in_blocks = (op.I + in_block - 1) / in_block;
  cpu.pool().run(static_cast<int64_t>(pairs.groups.size()) * in_blocks, [&](int64_t i) {
    const Group& group = pairs.groups[static_cast<size_t>(i / in_blocks)];
    const int64_t row0 = i % in_blocks * in_block;
    const int64_t n = std::min(in_block, op.I - row0);
    thread_local std::vector<float> branches;
    branches.resize(static_cast<size_t>(2 * group.n * n));
    float* gate = branches.data();
    float* up = gate + group.n * n;
    const Weight& w1 = group.expert->w1;
    const Weight& w3 = group.expert->w3;
    TokenRows x{.format = (is_routed(group.first_pair) ? op.x : op.shared_x).format,
                .K = op.C,
                .rows = x_rows.data() + group.first_pair,
                .T = group.n,
                .reads_next = w3.data + row0 * w3.row_bytes()};
    row_block(w1, row0, n, x, gate, n);
    x.reads_next = nullptr;
    row_block(w3, row0, n, x, up, n);
    for (int64_t j = 0; j < group.n; ++j) {
      const int64_t p = group.first_pair + j;
      swiglu_kernel(gate + j * n, up + j * n, n, op.swiglu_limit, pairs.weight[static_cast<size_t>(p)],
                    h + p * op.I + row0);
    }
  });

  // The same packed: routed pairs first, shared ones behind.
  std::vector<const std::byte*> h_rows(static_cast<size_t>(n_pairs));
  std::byte* packed_data = op.scratch + (n_pairs * op.I * 4 + 63) / 64 * 64;
  const auto pack = [&](int64_t begin, int64_t end, ActivationRounding rounding) {
    const PackedRows packed{
        .format = row_format(rounding), .T = end - begin, .groups = 1, .K = op.I, .data = packed_data};
    choose_version(pack_rows_versions(), cpu.level())
        .run(cpu, {.x = h + begin * op.I, .x_stride = op.I, .rounding = rounding, .out = packed});
    for (int64_t p = begin; p < end; ++p) h_rows[static_cast<size_t>(p)] = packed.row(p - begin, 0);
    packed_data += (end - begin) * packed.row_bytes();
  };
  pack(0, n_routed, op.hidden_rounding);
  pack(n_routed, n_pairs, op.shared_hidden_rounding);

  const int64_t out_block = rows_per_task(op.routed[0].w2, op.T == 1 ? 1 : 2, cpu.pool().size());
  cpu.pool().for_slices(op.C, out_block, [&](int64_t begin, int64_t end) {
    const int64_t n = end - begin;
    thread_local std::vector<float> terms;
    terms.resize(static_cast<size_t>(op.T * n));
    for (int64_t t = 0; t < op.T; ++t) std::fill_n(op.y + t * op.C + begin, n, 0.0f);
    for (size_t g = 0; g < pairs.groups.size(); ++g) {
      const Group& group = pairs.groups[g];
      const ActivationRounding rounding = is_routed(group.first_pair) ? op.hidden_rounding : op.shared_hidden_rounding;
      const Weight* next = g + 1 < pairs.groups.size() ? &pairs.groups[g + 1].expert->w2 : nullptr;
      const TokenRows x{.format = row_format(rounding),
                        .K = op.I,
                        .rows = h_rows.data() + group.first_pair,
                        .T = group.n,
                        .reads_next = next == nullptr ? nullptr : next->data + begin * next->row_bytes()};
      row_block(group.expert->w2, begin, n, x, terms.data(), n);
      for (int64_t j = 0; j < group.n; ++j) {
        float* y = op.y + pairs.token[static_cast<size_t>(group.first_pair + j)] * op.C + begin;
        for (int64_t c = 0; c < n; ++c) y[c] += terms[static_cast<size_t>(j * n + c)];
      }
    }
  });
}

}  // namespace hadal::ops
