// Engram's hashing: which rows of a layer's table the last few tokens name.
//
//   c[s] = class of the token s places back; classes are tokens with the same normalised text (engram_token_map.h)
//   r = c[0] m[0];  for s = 1 .. N - 1:  r ^= c[s] m[s],  and the rows of the (s + 1)-gram are
//     offset[s - 1, h] + r mod prime[s - 1, h],  h < heads
//
// Primes: for the layers with a table in order, for n = 2 .. N, the next `heads` ones not used yet from vocab_size on;
// a table has as many rows as its primes add up to. Multipliers: odd, of layer l 2 r + 1 for N draws r in
// [0, (2^63 - 1) / classes / 2) of numpy's default_rng(10007 l), so that no product leaves 63 bits.
//
// Source: Engram of the V4.1 release's inference/model.py; numpy's SeedSequence and PCG64. Pure arithmetic.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/model_description.h"

namespace hadal {

struct EngramTable {
  size_t layer = 0;
  std::vector<int64_t> multipliers;  // [N]
  std::vector<int64_t> primes;       // [N - 1, heads]
  std::vector<int64_t> offsets;      // [N - 1, heads]
  int64_t rows = 0;
};

struct EngramSizes {
  int64_t vocab_size = 0;
  int64_t max_ngram = 0;
  int64_t n_heads = 0;
  int64_t n_classes = 0;
};

// One table per layer of `layers`, in that order. Sizes within the ranges of description_fields.h.
std::vector<EngramTable> engram_tables(const EngramSizes& sizes, std::span<const int64_t> layers);
// Those of a model, in the order of its layers.
std::vector<EngramTable> engram_tables(const ModelDescription& description);

// classes [N], newest first -> rows [(N - 1) heads].
void engram_rows(const EngramTable& table, std::span<const int32_t> classes, int32_t* rows);

}  // namespace hadal
