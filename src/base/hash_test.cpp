#include "base/hash.h"

#include <gtest/gtest.h>

namespace hadal {
namespace {

TEST(Hash, sha256_gives_the_standards_digests) {
  EXPECT_EQ(to_hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Hash, sha256_in_parts_is_sha256_of_the_whole) {
  const std::string text(1000, 'a');
  for (const size_t cut : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{1000}}) {
    Sha256Hasher hasher;
    hasher.update(std::string_view(text).substr(0, cut));
    hasher.update(std::string_view(text).substr(cut));
    EXPECT_EQ(hasher.finish(), sha256(text)) << cut;
  }
}

TEST(Hash, a_checksum_sees_each_flipped_bit) {
  std::string text = "state of a sequence";
  const Checksum right = checksum(std::as_bytes(std::span(text)));
  EXPECT_EQ(checksum(std::as_bytes(std::span(text))), right);
  for (size_t bit = 0; bit < 8 * text.size(); ++bit) {
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_NE(checksum(std::as_bytes(std::span(text))), right) << bit;
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
  }
}

TEST(Hash, a_checksum_is_part_of_file_formats_and_never_changes) {
  const Checksum empty = checksum({});
  EXPECT_EQ(empty.low, 0x6001c324468d497full);
  EXPECT_EQ(empty.high, 0x99aa06d3014798d8ull);
}

// `printf 'hello\n' | git hash-object --stdin`, and the empty file, whose name every git repository knows.
TEST(Hash, names_files_as_git_does) {
  GitBlobHasher hello(6);
  hello.update(std::as_bytes(std::span("hello\n", 6)));
  EXPECT_EQ(to_hex(hello.finish()), "ce013625030ba8dba906f756967f9e9ca394464a");
  EXPECT_EQ(to_hex(GitBlobHasher(0).finish()), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
}

}  // namespace
}  // namespace hadal
