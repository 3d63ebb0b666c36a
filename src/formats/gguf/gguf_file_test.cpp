#include "formats/gguf/gguf_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/gguf_bytes.h"

namespace hadal {
namespace {

using test::gguf_array;
using test::gguf_key;
using test::gguf_string;
using test::gguf_tensor;
using test::GgufParts;
using test::raw;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint32_t kF32 = 0;
constexpr uint32_t kQ8_0 = 8;
constexpr uint32_t kQ4K = 12;
constexpr uint64_t k2To63 = uint64_t{1} << 63;

Result<GgufFile> parse(const std::string& file) {
  return parse_gguf(std::as_bytes(std::span(file)), "x.gguf");
}

TEST(Gguf, tensors_and_metadata_are_read_with_the_slowest_axis_first) {
  for (const uint32_t version : {2u, 3u}) {
    const std::string file =
        GgufParts{
            .version = version,
            .keys = {gguf_key("name", GgufType::kString, gguf_string("deep")),
                     gguf_key("n", GgufType::kU64, raw(uint64_t{7})), gguf_key("minus", GgufType::kI8, raw(int8_t{-3})),
                     gguf_key("real", GgufType::kF32, raw(0.5f)), gguf_key("flag", GgufType::kBool, "\1"),
                     gguf_key("list", GgufType::kArray, gguf_array(GgufType::kI32, 2, raw(1) + raw(-1))),
                     gguf_key("texts", GgufType::kArray,
                              gguf_array(GgufType::kString, 2, gguf_string("a") + gguf_string("")))},
            .tensors = {gguf_tensor("b", {32, 3, 2}, kQ8_0, 64), gguf_tensor("a", {5}, kF32, 0)},
            .data_bytes = 64 + 6 * 34}
            .file();
    const Result<GgufFile> parsed = parse(file);
    ASSERT_TRUE(parsed.ok()) << parsed.error().to_string();
    EXPECT_EQ(parsed->version, version);
    EXPECT_EQ(parsed->find("name")->as_string(), "deep");
    EXPECT_EQ(parsed->find("n")->as_int(), 7);
    EXPECT_EQ(parsed->find("minus")->as_int(), -3);
    EXPECT_EQ(parsed->find("real")->as_real(), 0.5);
    EXPECT_EQ(parsed->find("flag")->as_bool(), true);
    EXPECT_EQ(parsed->find("list")->as_int(1), -1);
    EXPECT_EQ(parsed->find("list")->as_int(2), std::nullopt);
    EXPECT_THAT(*parsed->find("texts")->strings(), ElementsAre("a", ""));
    EXPECT_EQ(parsed->find("nothing"), nullptr);
    ASSERT_EQ(parsed->tensors.size(), 2u);
    EXPECT_EQ(parsed->tensors[0].name, "a");
    EXPECT_EQ(parsed->tensors[1].name, "b");
    EXPECT_EQ(parsed->tensors[1].dtype, DType::kQ8_0);
    EXPECT_THAT(parsed->tensors[1].shape, ElementsAre(2, 3, 32));
    EXPECT_EQ(parsed->tensors[1].bytes.size(), 6u * 34);
    EXPECT_EQ(parsed->tensors[1].file_offset, parsed->data_begin + 64);
    EXPECT_EQ(static_cast<const void*>(parsed->tensors[1].bytes.data()), file.data() + parsed->data_begin + 64);
  }
}

TEST(Gguf, a_value_of_another_type_is_nothing) {
  const std::string file = GgufParts{.keys = {gguf_key("big", GgufType::kU64, raw(~uint64_t{0})),
                                              gguf_key("text", GgufType::kString, gguf_string("x"))}}
                               .file();
  const Result<GgufFile> parsed = parse(file);
  ASSERT_TRUE(parsed.ok()) << parsed.error().to_string();
  EXPECT_EQ(parsed->find("big")->as_int(), std::nullopt);
  EXPECT_EQ(parsed->find("big")->shown(), "18446744073709551615");
  EXPECT_EQ(parsed->find("text")->as_int(), std::nullopt);
  EXPECT_EQ(parsed->find("text")->as_bool(), std::nullopt);
  EXPECT_EQ(parsed->find("big")->strings(), std::nullopt);
  EXPECT_EQ(parsed->find("big")->as_string(), std::nullopt);
}

TEST(Gguf, holes_between_tensors_and_larger_alignments_are_allowed) {
  const std::string file = GgufParts{.keys = {gguf_key("general.alignment", GgufType::kU32, raw(uint32_t{4096}))},
                                     .tensors = {gguf_tensor("a", {1}, kF32, 8192)},
                                     .data_bytes = 8196,
                                     .alignment = 4096}
                               .file();
  const Result<GgufFile> parsed = parse(file);
  ASSERT_TRUE(parsed.ok()) << parsed.error().to_string();
  EXPECT_EQ(parsed->tensors[0].file_offset, 4096u + 8192u);
}

struct BadFile {
  const char* why;
  std::string file;
  ErrorCode code;
  const char* in;
  const char* want;
  const char* found;
};

std::string with_key(std::string key) {
  return GgufParts{.keys = {std::move(key)}}.file();
}
std::string with_tensor(std::string tensor, size_t data_bytes = 4096) {
  return GgufParts{.tensors = {std::move(tensor)}, .data_bytes = data_bytes}.file();
}
std::string with_tensors(std::string a, std::string b, size_t data_bytes = 4096) {
  return GgufParts{.tensors = {std::move(a), std::move(b)}, .data_bytes = data_bytes}.file();
}
std::string with_alignment(GgufType type, std::string value) {
  return with_key(gguf_key("general.alignment", type, value));
}

std::vector<BadFile> bad_files() {
  constexpr auto kCorrupt = ErrorCode::kCorrupt;
  constexpr auto kLimit = ErrorCode::kLimit;
  constexpr auto kUnsupported = ErrorCode::kUnsupported;
  const std::string whole = with_tensor(gguf_tensor("t", {8}, kF32, 0), 32);
  std::vector<BadFile> files = {
      {"empty file", "", kCorrupt, "byte 0: magic", "4 bytes", "0 left"},
      {"another file", "PK\3\4aaaaaaaaaaaaaaaaaaaaaa", kCorrupt, "byte 0: magic", "GGUF", "0x04034b50"},
      {"version 1", GgufParts{.version = 1}.file(), kUnsupported, "byte 4: version", "2 or 3", "1"},
      {"version 4", GgufParts{.version = 4}.file(), kUnsupported, "byte 4: version", "2 or 3", "4"},
      {"big-endian", GgufParts{.version = 0x03000000}.file(), kUnsupported, "byte 4: version", "little-endian",
       "0x03000000"},
      {"2^32 tensors", GgufParts{}.file(uint64_t{1} << 32, 0), kLimit, "byte 8: tensor count", "at most 1048576",
       "4294967296"},
      {"2^63 tensors", GgufParts{}.file(k2To63, 0), kLimit, "byte 8: tensor count", "at most", "9223372036854775808"},
      {"2^64 - 1 tensors", GgufParts{}.file(~uint64_t{0}, 0), kLimit, "byte 8", "at most", "18446744073709551615"},
      {"more tensors than bytes", GgufParts{}.file(3, 0), kCorrupt, "tensor count", "99 bytes at least for 3", "left"},
      {"2^32 keys", GgufParts{}.file(0, uint64_t{1} << 32), kLimit, "byte 16: key count", "at most", "4294967296"},
      {"2^63 keys", GgufParts{}.file(0, k2To63), kLimit, "byte 16: key count", "at most", "9223372036854775808"},
      {"more keys than bytes", GgufParts{}.file(0, 1000), kCorrupt, "key count", "14000 bytes", "left in the file"},
      {"key of 2^63 bytes", with_key(raw(k2To63) + "aaaaaaaaaa"), kCorrupt, "key 1 of 1", "9223372036854775808",
       "left"},
      {"key of 2^64 - 1 bytes", with_key(raw(~uint64_t{0}) + "aaaaaaaaaa"), kCorrupt, "key 1 of 1",
       "18446744073709551615", "left"},
      {"key beyond the limit", with_key(gguf_key(std::string((1 << 24) + 1, 'k'), GgufType::kU8, "\1")), kLimit,
       "key 1 of 1", "at most 16777216 bytes", "16777217"},
      {"empty key", with_key(gguf_key("", GgufType::kU64, raw(uint64_t{1}))), kCorrupt, "key 1 of 1", "at least one",
       "nothing"},
      {"key that is no text", with_key(gguf_key("\xff", GgufType::kU64, raw(uint64_t{1}))), kCorrupt, "key 1 of 1",
       "UTF-8", ""},
      {"key twice",
       GgufParts{.keys = {gguf_key("k", GgufType::kU32, raw(uint32_t{1})), gguf_key("k", GgufType::kU8, "\1")}}.file(),
       kCorrupt, "byte 41: key 2 of 2", "once", "k"},
      {"value type 13", with_key(gguf_string("k") + raw(uint32_t{13}) + raw(uint64_t{0})), kCorrupt, "k", "0 to 12",
       "13"},
      {"value type 2^32 - 1", with_key(gguf_string("k") + raw(~uint32_t{0}) + raw(uint64_t{0})), kCorrupt, "k",
       "0 to 12", "4294967295"},
      {"a bool of 2", with_key(gguf_key("k", GgufType::kBool, "\2")), kCorrupt, "byte 37: \"k\"", "0 or 1", "2"},
      {"string of 2^63 bytes", with_key(gguf_key("k", GgufType::kString, raw(k2To63))), kCorrupt, "k",
       "9223372036854775808 bytes", "left"},
      {"string one byte too long", with_key(gguf_key("k", GgufType::kString, raw(uint64_t{32}) + "abc")), kCorrupt, "k",
       "32 bytes", "left"},
      {"array of arrays",
       with_key(gguf_key("k", GgufType::kArray, gguf_array(GgufType::kArray, 1, raw(uint64_t{0}) + raw(uint64_t{0})))),
       kUnsupported, "k", "numbers, strings", "arrays"},
      {"array of 2^31", with_key(gguf_key("k", GgufType::kArray, gguf_array(GgufType::kU8, uint64_t{1} << 31, ""))),
       kCorrupt, "k", "at most", "2147483648"},
      {"array of 2^63", with_key(gguf_key("k", GgufType::kArray, gguf_array(GgufType::kU64, k2To63, ""))), kCorrupt,
       "k", "at most", "9223372036854775808"},
      {"array of 2^64 - 1 strings",
       with_key(gguf_key("k", GgufType::kArray, gguf_array(GgufType::kString, ~uint64_t{0}, ""))), kCorrupt, "k",
       "at most", "18446744073709551615"},
      {"string without end in an array",
       with_key(gguf_key("k", GgufType::kArray, gguf_array(GgufType::kString, 1, raw(~uint64_t{0})))), kCorrupt, "k",
       "18446744073709551615 bytes", "left"},
      {"alignment 0", with_alignment(GgufType::kU32, raw(0)), kCorrupt, "general.alignment", "power of two", "u32 0"},
      {"alignment 3", with_alignment(GgufType::kU32, raw(3)), kCorrupt, "general.alignment", "power of two", "u32 3"},
      {"alignment 2^31", with_alignment(GgufType::kU32, raw(uint32_t{1} << 31)), kCorrupt, "general.alignment",
       "up to 65536", "u32 2147483648"},
      {"alignment 2^17", with_alignment(GgufType::kU32, raw(uint32_t{1} << 17)), kCorrupt, "general.alignment",
       "up to 65536", "131072"},
      {"alignment as i32", with_alignment(GgufType::kI32, raw(32)), kCorrupt, "general.alignment", "u32", "i32 32"},
      {"alignment as text", with_alignment(GgufType::kString, gguf_string("32")), kCorrupt, "general.alignment", "u32",
       "string"},
      {"alignment as an array", with_alignment(GgufType::kArray, gguf_array(GgufType::kU32, 1, raw(32))), kCorrupt,
       "general.alignment", "u32", "array"},
      {"no name", with_tensor(gguf_tensor("", {8}, kF32, 0)), kCorrupt, "tensor 1 of 1", "at least one", "nothing"},
      {"name of 128 bytes", with_tensor(gguf_tensor(std::string(128, 'n'), {8}, kF32, 0)), kLimit, "tensor 1 of 1",
       "at most 127 bytes", "128"},
      {"name with a NUL", with_tensor(gguf_tensor(std::string_view("a\0b", 3), {8}, kF32, 0)), kCorrupt,
       "tensor 1 of 1", "without NUL", ""},
      {"name that is no text", with_tensor(gguf_tensor("\xc3", {8}, kF32, 0)), kCorrupt, "tensor 1 of 1", "UTF-8", ""},
      {"tensor twice", with_tensors(gguf_tensor("t", {8}, kF32, 0), gguf_tensor("t", {8}, kF32, 32)), kCorrupt, "\"t\"",
       "once", "before"},
      {"no axes", with_tensor(gguf_tensor("t", {}, kF32, 0)), kCorrupt, "\"t\"", "1 to 4", "0"},
      {"five axes", with_tensor(gguf_tensor("t", {1, 1, 1, 1, 1}, kF32, 0)), kCorrupt, "\"t\"", "1 to 4", "5"},
      {"2^32 - 1 axes", with_tensor(gguf_string("t") + raw(~uint32_t{0}) + raw(uint64_t{1}) + raw(uint64_t{1})),
       kCorrupt, "\"t\"", "1 to 4", "4294967295"},
      {"axis of 0", with_tensor(gguf_tensor("t", {8, 0}, kF32, 0)), kCorrupt, "\"t\"", "1 to", "0"},
      {"axis of 2^63", with_tensor(gguf_tensor("t", {k2To63}, kF32, 0)), kCorrupt, "\"t\"", "1 to",
       "9223372036854775808"},
      {"axis of 2^64 - 1", with_tensor(gguf_tensor("t", {~uint64_t{0}}, kF32, 0)), kCorrupt, "\"t\"", "1 to",
       "18446744073709551615"},
      {"2^64 elements", with_tensor(gguf_tensor("t", {uint64_t{1} << 32, uint64_t{1} << 32}, kF32, 0)), kCorrupt,
       "\"t\"", "below 2^63", "4294967296"},
      {"2^62 elements, 2^64 bytes", with_tensor(gguf_tensor("t", {uint64_t{1} << 62}, kF32, 0)), kCorrupt, "\"t\"",
       "below 2^63", "F32"},
      {"Q4_K row of 128", with_tensor(gguf_tensor("t", {128, 2}, kQ4K, 0)), kCorrupt, "\"t\"",
       "a multiple of 256 for Q4_K", "128 in [2, 128]"},
      {"Q8_0 row of 33", with_tensor(gguf_tensor("t", {33}, kQ8_0, 0)), kCorrupt, "\"t\"", "a multiple of 32", "33"},
      {"a type we lack", with_tensor(gguf_tensor("t", {256}, 7, 0)), kUnsupported, "\"t\"", "Q8_0", "Q5_1"},
      {"a removed type", with_tensor(gguf_tensor("t", {256}, 4, 0)), kUnsupported, "\"t\"", "Q8_0", "removed"},
      {"a type of ik_llama.cpp", with_tensor(gguf_tensor("t", {256}, 137, 0)), kUnsupported, "\"t\"", "Q8_0",
       "ik_llama.cpp"},
      {"type 2^32 - 1", with_tensor(gguf_tensor("t", {256}, ~uint32_t{0}, 0)), kUnsupported, "\"t\"", "Q8_0",
       "does not exist"},
      {"misaligned", with_tensor(gguf_tensor("t", {8}, kF32, 16)), kCorrupt, "\"t\"", "a multiple of 32", "offset 16"},
      {"offset 2^64 - 32", with_tensor(gguf_tensor("t", {8}, kF32, ~uint64_t{31})), kCorrupt, "\"t\"", "32 bytes",
       "a file of"},
      {"last tensor one byte short", with_tensor(gguf_tensor("t", {8}, kF32, 0), 31), kCorrupt, "\"t\"", "32 bytes",
       "a file of"},
      {"tensor past the end", with_tensor(gguf_tensor("t", {8}, kF32, 4096)), kCorrupt, "\"t\"", "+ 4096", "a file of"},
      {"no data at all", with_tensor(gguf_tensor("t", {8}, kF32, 0), 0), kCorrupt, "\"t\"", "32 bytes", "a file of"},
      {"overlapping", with_tensors(gguf_tensor("a", {16}, kF32, 0), gguf_tensor("b", {8}, kF32, 32)), kCorrupt, "\"b\"",
       "64 or more, behind \"a\"", "offset 32"},
      {"two at one place", with_tensors(gguf_tensor("a", {8}, kF32, 0), gguf_tensor("b", {8}, kF32, 0)), kCorrupt,
       "\"b\"", "32 or more", "offset 0"},
      {"sizes that sum past 2^64",
       with_tensors(gguf_tensor("a", {uint64_t{1} << 60}, kF32, 0), gguf_tensor("b", {uint64_t{1} << 60}, kF32, 32)),
       kCorrupt, "\"a\"", "4611686018427387904 bytes", "a file of"},
  };
  // Cut anywhere, a file is refused.
  static const std::string kWhole = whole;
  for (size_t length = 4; length < kWhole.size(); ++length)
    files.push_back({"cut", kWhole.substr(0, length), kCorrupt, "x.gguf, byte", "", ""});
  return files;
}

TEST(Gguf, a_bad_file_is_refused_with_place_want_and_found) {
  for (const BadFile& bad : bad_files()) {
    const Result<GgufFile> parsed = parse(bad.file);
    ASSERT_FALSE(parsed.ok()) << bad.why;
    const Error& error = parsed.error();
    EXPECT_EQ(error.code, bad.code) << bad.why << "\n" << error.to_string();
    EXPECT_THAT(error.in, HasSubstr("x.gguf")) << bad.why;
    EXPECT_THAT(error.in, HasSubstr(bad.in)) << bad.why << "\n" << error.to_string();
    EXPECT_THAT(error.want, HasSubstr(bad.want)) << bad.why << "\n" << error.to_string();
    EXPECT_THAT(error.found, HasSubstr(bad.found)) << bad.why << "\n" << error.to_string();
  }
}

TEST(Gguf, messages_of_common_troubles_say_what_to_do) {
  EXPECT_THAT(parse(GgufParts{.version = 0x03000000}.file()).error().hint, HasSubstr("little-endian machine"));
  EXPECT_THAT(parse(with_tensor(gguf_tensor("t", {8}, kF32, 0), 31)).error().hint, HasSubstr("download"));
  EXPECT_THAT(parse(with_tensor(gguf_tensor("t", {256}, 7, 0))).error().hint, HasSubstr("quantise"));
}

}  // namespace
}  // namespace hadal
