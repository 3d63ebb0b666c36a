#include "model/engram_tables.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace hadal {
namespace {

using Uint128 = unsigned __int128;

// numpy's SeedSequence for one seed below 2^64 and no spawn key: the words that PCG64 is seeded with.
class SeedSequence {
 public:
  explicit SeedSequence(uint64_t seed) {
    const std::array<uint32_t, 4> entropy = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), 0, 0};
    for (size_t i = 0; i < pool_.size(); ++i) pool_[i] = hashed(entropy[i]);
    for (size_t i = 0; i < pool_.size(); ++i) {
      for (size_t j = 0; j < pool_.size(); ++j) {
        if (i != j) pool_[j] = mixed(pool_[j], hashed(pool_[i]));
      }
    }
  }

  // The first four 64-bit words of its output.
  std::array<uint64_t, 4> words() const {
    std::array<uint64_t, 4> out{};
    uint32_t b = 0x8b51f9dd;
    for (size_t i = 0; i < 8; ++i) {
      uint32_t v = pool_[i % 4] ^ b;
      b *= 0x58f38ded;
      v *= b;
      v ^= v >> 16;
      out[i / 2] |= static_cast<uint64_t>(v) << (i % 2 * 32);
    }
    return out;
  }

 private:
  uint32_t hashed(uint32_t v) {
    v ^= a_;
    a_ *= 0x931e8875;
    v *= a_;
    return v ^ v >> 16;
  }
  static uint32_t mixed(uint32_t x, uint32_t y) {
    const uint32_t r = 0xca01f9ddu * x - 0x4973f715u * y;
    return r ^ r >> 16;
  }

  uint32_t a_ = 0x43b0d7e5;
  std::array<uint32_t, 4> pool_{};
};

// PCG64 (XSL-RR) as numpy seeds it.
class Pcg64 {
 public:
  explicit Pcg64(uint64_t seed) {
    const std::array<uint64_t, 4> words = SeedSequence(seed).words();
    increment_ = (static_cast<Uint128>(words[2]) << 64 | words[3]) << 1 | 1;
    step();
    state_ += static_cast<Uint128>(words[0]) << 64 | words[1];
    step();
  }

  uint64_t next() {
    step();
    const uint64_t folded = static_cast<uint64_t>(state_ >> 64) ^ static_cast<uint64_t>(state_);
    const auto turn = static_cast<unsigned>(state_ >> 122);
    return folded >> turn | folded << (-turn & 63u);
  }

  // Uniform in [0, bound): Lemire's method. numpy draws 32 bits at a time for bounds up to 2^32, which
  // (2^63 - 1) / classes / 2 never is for at most 2^24 classes.
  uint64_t below(uint64_t bound) {
    HADAL_CHECK(bound > uint64_t{1} << 32, "a bound that numpy draws in 32 bits", bound);
    Uint128 product = static_cast<Uint128>(next()) * bound;
    const uint64_t threshold = (0 - bound) % bound;
    while (static_cast<uint64_t>(product) < threshold) product = static_cast<Uint128>(next()) * bound;
    return static_cast<uint64_t>(product >> 64);
  }

 private:
  void step() {
    constexpr Uint128 kMultiplier = static_cast<Uint128>(2549297995355413924u) << 64 | 4865540595714422341u;
    state_ = state_ * kMultiplier + increment_;
  }

  Uint128 state_ = 0;
  Uint128 increment_ = 0;
};

bool is_prime(int64_t n) {
  if (n < 4) return n >= 2;
  if (n % 2 == 0) return false;
  for (int64_t i = 3; i * i <= n; i += 2) {
    if (n % i == 0) return false;
  }
  return true;
}

std::vector<int64_t> multipliers(size_t layer, const EngramSizes& sizes) {
  constexpr uint64_t kSeedOfLayer = 10007;
  const auto bound = static_cast<uint64_t>(INT64_MAX / sizes.n_classes / 2);
  Pcg64 random(kSeedOfLayer * layer);
  std::vector<int64_t> out;
  for (int64_t s = 0; s < sizes.max_ngram; ++s) out.push_back(static_cast<int64_t>(random.below(bound) * 2 + 1));
  return out;
}

}  // namespace

std::vector<EngramTable> engram_tables(const EngramSizes& sizes, std::span<const int64_t> layers) {
  std::vector<EngramTable> tables;
  int64_t candidate = sizes.vocab_size - 1;
  for (const int64_t layer : layers) {
    EngramTable table{.layer = static_cast<size_t>(layer), .multipliers = {}, .primes = {}, .offsets = {}, .rows = 0};
    table.multipliers = multipliers(table.layer, sizes);
    for (int64_t i = 0; i < (sizes.max_ngram - 1) * sizes.n_heads; ++i) {
      do ++candidate;
      while (!is_prime(candidate));
      table.primes.push_back(candidate);
      table.offsets.push_back(table.rows);
      table.rows += candidate;
    }
    tables.push_back(std::move(table));
  }
  return tables;
}

std::vector<EngramTable> engram_tables(const ModelDescription& d) {
  std::vector<int64_t> layers;
  for (size_t l = 0; l < d.layers.size(); ++l) {
    if (d.layers[l].engram_rows > 0) layers.push_back(static_cast<int64_t>(l));
  }
  return engram_tables({.vocab_size = d.engram_vocab_size,
                        .max_ngram = d.engram_max_ngram,
                        .n_heads = d.engram_n_heads,
                        .n_classes = d.engram_n_classes},
                       layers);
}

void engram_rows(const EngramTable& table, std::span<const int32_t> classes, int32_t* rows) {
  const size_t n_heads = table.primes.size() / (classes.size() - 1);
  int64_t hash = classes[0] * table.multipliers[0];
  for (size_t s = 1; s < classes.size(); ++s) {
    hash ^= classes[s] * table.multipliers[s];
    for (size_t h = (s - 1) * n_heads; h < s * n_heads; ++h) {
      rows[h] = static_cast<int32_t>(table.offsets[h] + hash % table.primes[h]);
    }
  }
}

}  // namespace hadal
