#include "model/engram_tables.h"

#include <gtest/gtest.h>

#include "testing/golden.h"

namespace hadal {
namespace {

// The released layout: deepseek-v41.md, section 7.
constexpr EngramSizes kReleased{.vocab_size = 16000000, .max_ngram = 4, .n_heads = 8, .n_classes = 99092};

std::vector<EngramTable> released() {
  const int64_t layers[] = {1, 14};
  return engram_tables(kReleased, layers);
}

TEST(EngramTables, of_the_release_have_its_primes_multipliers_and_rows) {
  const test::GoldenFile golden("layers/engram.safetensors");
  const std::vector<EngramTable> tables = released();
  ASSERT_EQ(tables.size(), 2u);
  EXPECT_EQ(tables[0].rows, 384006168);
  EXPECT_EQ(tables[1].rows, 384016682);
  const std::span<const int64_t> primes = golden.i64("v41.primes");
  const std::span<const int64_t> multipliers = golden.i64("v41.multipliers");
  for (size_t l = 0; l < 2; ++l) {
    for (size_t i = 0; i < 24; ++i) EXPECT_EQ(tables[l].primes[i], primes[l * 24 + i]) << l << " " << i;
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(tables[l].multipliers[i], multipliers[l * 4 + i]) << l << " " << i;
  }
}

TEST(EngramTables, rows_are_those_of_the_worked_examples) {
  const std::vector<EngramTable> tables = released();
  int32_t rows[24];
  const int32_t classes[] = {4, 3, 2, 1};
  engram_rows(tables[0], classes, rows);
  EXPECT_EQ(rows[0], 4081432);
  EXPECT_EQ(rows[1], 22739564);
  EXPECT_EQ(rows[8], 128693894);
  EXPECT_EQ(rows[16], 265266597);
  EXPECT_EQ(rows[23], 375533094);
  engram_rows(tables[1], classes, rows);
  EXPECT_EQ(rows[0], 10178152);
  EXPECT_EQ(rows[1], 21782574);
  EXPECT_EQ(rows[8], 136137167);
  EXPECT_EQ(rows[23], 374645366);
  // The largest class, and class 0, which changes nothing.
  const int32_t others[] = {98765, 54321, 0, 99091};
  engram_rows(tables[0], others, rows);
  EXPECT_EQ(rows[0], 14484025);
  EXPECT_EQ(rows[8], 141629547);
  EXPECT_EQ(rows[23], 374444046);
}

TEST(EngramTables, rows_of_a_text_are_the_goldens) {
  const test::GoldenFile golden("layers/engram.safetensors");
  const std::span<const int32_t> ids = golden.i32("hash.ids");
  const std::span<const int32_t> map = golden.i32("hash.token_map");
  const std::vector<EngramTable> tables = released();
  for (const EngramTable& table : tables) {
    const std::string name = "hash.layer" + std::to_string(table.layer) + ".rows";
    const std::span<const int64_t> want = golden.i64(name);
    for (size_t t = 0; t < ids.size(); ++t) {
      int32_t classes[4];
      for (size_t s = 0; s < 4; ++s) {
        constexpr size_t kPadId = 2;
        classes[s] = map[s <= t ? static_cast<size_t>(ids[t - s]) : kPadId];
      }
      int32_t rows[24];
      engram_rows(table, classes, rows);
      for (size_t i = 0; i < 24; ++i) ASSERT_EQ(rows[i], want[t * 24 + i]) << name << " " << t << " " << i;
    }
  }
}

}  // namespace
}  // namespace hadal
