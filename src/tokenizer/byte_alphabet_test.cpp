#include "tokenizer/byte_alphabet.h"

#include <gtest/gtest.h>

namespace hadal::tokenizer {
namespace {

TEST(ByteAlphabet, every_byte_has_a_spelling_that_reads_back) {
  const ByteAlphabet alphabet;
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += alphabet.spelling(static_cast<uint8_t>(byte));
  std::string bytes;
  ASSERT_TRUE(alphabet.append_bytes(all, bytes));
  ASSERT_EQ(bytes.size(), 256u);
  for (int byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(static_cast<uint8_t>(bytes[static_cast<size_t>(byte)]), byte);
  }
}

TEST(ByteAlphabet, spellings_are_those_of_gpt_2) {
  const ByteAlphabet alphabet;
  EXPECT_EQ(alphabet.spelling(' '), "Ġ");
  EXPECT_EQ(alphabet.spelling('\n'), "Ċ");
  EXPECT_EQ(alphabet.spelling('a'), "a");
  EXPECT_EQ(alphabet.spelling(0xAD), "Ń");
  EXPECT_EQ(alphabet.spelling(0xFF), "ÿ");
}

TEST(ByteAlphabet, what_is_not_of_the_alphabet_leaves_the_bytes_as_they_were) {
  const ByteAlphabet alphabet;
  for (const char* spelled : {"a b", "a\n", "｜", "ń", "a\xC4", "a\xC1\xA1", "\x80", "\xFF", "Ġ\u00AD"}) {
    std::string bytes = "kept";
    EXPECT_FALSE(alphabet.append_bytes(spelled, bytes)) << spelled;
    EXPECT_EQ(bytes, "kept");
  }
}

}  // namespace
}  // namespace hadal::tokenizer
