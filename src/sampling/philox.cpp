#include "sampling/philox.h"

namespace hadal {
namespace {

constexpr uint64_t kMultiplier0 = 0xD2511F53;
constexpr uint64_t kMultiplier1 = 0xCD9E8D57;
constexpr PhiloxKey kWeyl = {0x9E3779B9, 0xBB67AE85};  // golden ratio and sqrt(3) - 1
constexpr int kRounds = 10;

uint32_t low(uint64_t word) {
  return static_cast<uint32_t>(word);
}
uint32_t high(uint64_t word) {
  return static_cast<uint32_t>(word >> 32);
}

}  // namespace

PhiloxCounter philox4x32(PhiloxCounter c, PhiloxKey key) {
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t product0 = kMultiplier0 * c[0];
    const uint64_t product1 = kMultiplier1 * c[2];
    c = {high(product1) ^ c[1] ^ key[0], low(product1), high(product0) ^ c[3] ^ key[1], low(product0)};
    key = {key[0] + kWeyl[0], key[1] + kWeyl[1]};
  }
  return c;
}

uint64_t random_bits(uint64_t seed, uint64_t index) {
  const PhiloxCounter block = philox4x32({low(index), high(index), 0, 0}, {low(seed), high(seed)});
  return uint64_t{block[1]} << 32 | block[0];
}

}  // namespace hadal
