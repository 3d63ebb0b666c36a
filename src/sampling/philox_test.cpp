#include "sampling/philox.h"

#include <gtest/gtest.h>

namespace hadal {
namespace {

// Known answers of Random123 1.14 (examples/kat_vectors, philox4x32 with 10 rounds).
TEST(Philox, gives_the_published_known_answers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, both_halves_of_seed_and_index_matter) {
  const uint64_t plain = random_bits(1, 2);
  EXPECT_EQ(plain, random_bits(1, 2));
  EXPECT_NE(plain, random_bits(1, 3));
  EXPECT_NE(plain, random_bits(2, 2));
  EXPECT_NE(plain, random_bits(1 + (uint64_t{1} << 32), 2));
  EXPECT_NE(plain, random_bits(1, 2 + (uint64_t{1} << 32)));
}

}  // namespace
}  // namespace hadal
