#include "formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <optional>

namespace hadal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The length prefix as given (or right), the header, then `data_bytes` zeros.
std::string file_of(std::string_view header, size_t data_bytes, std::optional<uint64_t> length = {}) {
  const uint64_t prefix = length.value_or(header.size());
  std::string file(8, '\0');
  std::memcpy(file.data(), &prefix, 8);
  return file + std::string(header) + std::string(data_bytes, '\0');
}

Result<SafetensorsFile> parse(const std::string& file) {
  return parse_safetensors(std::as_bytes(std::span(file)), "x.safetensors");
}

// A header with one tensor "t".
std::string one(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return "{\"t\":{\"dtype\":" + std::string(dtype) + ",\"shape\":" + std::string(shape) +
         ",\"data_offsets\":" + std::string(offsets) + "}}";
}

std::string two(std::string_view first_offsets, std::string_view second_offsets) {
  return "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" + std::string(first_offsets) +
         "},\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" + std::string(second_offsets) + "}}";
}

TEST(Safetensors, tensors_come_in_file_order_with_metadata_and_places) {
  const std::string file =
      file_of(R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,1],"data_offsets":[6,14]},)"
              R"("a":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]},)"
              R"("empty":{"dtype":"I64","shape":[0],"data_offsets":[6,6]},)"
              R"("scalar":{"dtype":"U8","shape":[],"data_offsets":[14,15]}}   )",
              15);
  const Result<SafetensorsFile> parsed = parse(file);
  ASSERT_TRUE(parsed.ok()) << parsed.error().to_string();
  ASSERT_EQ(parsed->tensors.size(), 4u);
  EXPECT_EQ(parsed->tensors[0].name, "a");
  EXPECT_EQ(parsed->tensors[1].name, "empty");
  EXPECT_EQ(parsed->tensors[2].name, "b");
  EXPECT_EQ(parsed->tensors[2].dtype, DType::kF32);
  EXPECT_THAT(parsed->tensors[2].shape, ElementsAre(2, 1));
  EXPECT_EQ(parsed->tensors[2].bytes.size(), 8u);
  EXPECT_EQ(static_cast<const void*>(parsed->tensors[2].bytes.data()), file.data() + parsed->header_bytes + 6);
  EXPECT_EQ(parsed->tensors[3].elements(), 1);
  EXPECT_EQ(parsed->tensors[0].place(), "x.safetensors, byte " + std::to_string(parsed->header_bytes) + ": \"a\"");
  EXPECT_THAT(parsed->metadata, ElementsAre(std::pair<std::string, std::string>("format", "pt")));
}

TEST(Safetensors, a_file_without_tensors_is_a_file) {
  EXPECT_TRUE(parse(file_of("{}", 0)).ok());
  EXPECT_TRUE(parse(file_of(R"({"__metadata__":{}})", 0)).ok());
}

TEST(Safetensors, fp4_is_two_codes_a_byte_in_either_spelling) {
  EXPECT_EQ(parse(file_of(one("\"F4\"", "[2,6]", "[0,6]"), 6))->tensors[0].dtype, DType::kF4E2M1);
  EXPECT_EQ(parse(file_of(one("\"F4_E2M1\"", "[2,6]", "[0,6]"), 6))->tensors[0].dtype, DType::kF4E2M1);
  EXPECT_EQ(parse(file_of(one("\"I8\"", "[2,3]", "[0,6]"), 6))->tensors[0].dtype, DType::kI8);
}

TEST(Safetensors, what_the_header_writer_writes_is_read_back) {
  const std::vector<TensorToWrite> tensors = {{"q\"\n\u00e9", DType::kF8E4M3, {3, 5}},
                                              {"empty", DType::kF32, {0, 7}},
                                              {"packed", DType::kF4E2M1, {2, 4}},
                                              {"scalar", DType::kI64, {}}};
  const std::vector<std::pair<std::string, std::string>> metadata = {{"format", "pt"}, {"by", "test"}};
  std::string file = safetensors_header(tensors, metadata);
  EXPECT_EQ(file.size() % 64, 0u);
  file += std::string(15 + 0 + 4 + 8, '\0');
  const Result<SafetensorsFile> parsed = parse(file);
  ASSERT_TRUE(parsed.ok()) << parsed.error().to_string();
  EXPECT_EQ(parsed->metadata, metadata);
  ASSERT_EQ(parsed->tensors.size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(parsed->tensors[i].name, tensors[i].name);
    EXPECT_EQ(parsed->tensors[i].dtype, tensors[i].dtype);
    EXPECT_EQ(parsed->tensors[i].shape, tensors[i].shape);
    EXPECT_EQ(parsed->tensors[i].bytes.size(), tensors[i].bytes());
  }
  const std::string empty = safetensors_header({}, {});
  EXPECT_TRUE(parse(empty).ok());
}

struct BadFile {
  const char* why;
  std::string file;
  ErrorCode code;
  const char* in;
  const char* want;
  const char* found;
};

std::vector<BadFile> bad_files() {
  constexpr auto kCorrupt = ErrorCode::kCorrupt;
  const std::string ok = one("\"U8\"", "[4]", "[0,4]");
  return {
      {"empty file", "", kCorrupt, "x.safetensors", "at least 8 bytes", "0 bytes"},
      {"cut inside the length", std::string(7, '\0'), kCorrupt, "x.safetensors", "at least 8 bytes", "7 bytes"},
      {"length 0", file_of("", 0), kCorrupt, "header", "", ""},
      {"length 1 beyond the file", file_of(ok, 0, ok.size() + 1), kCorrupt, "byte 0", "at most", "bytes"},
      {"length 2^64 - 1", file_of(ok, 4, ~uint64_t{0}), kCorrupt, "byte 0", "at most", "18446744073709551615 bytes"},
      {"length 2^64 - 8", file_of(ok, 4, ~uint64_t{0} - 7), kCorrupt, "byte 0", "at most", "18446744073709551608"},
      {"length 2^63", file_of(ok, 4, uint64_t{1} << 63), kCorrupt, "byte 0", "at most", "9223372036854775808"},
      {"header beyond 100 MB", file_of(std::string((100 << 20) + 1, ' '), 0), ErrorCode::kLimit, "byte 0",
       "at most 104857600 bytes", "104857601 bytes"},
      {"header cut", file_of(ok.substr(0, ok.size() - 1), 4), kCorrupt, "header", "", ""},
      {"header one byte too long", file_of(ok, 4, ok.size() + 1), kCorrupt, "header", "", ""},
      {"not JSON", file_of("hello", 0), kCorrupt, "header", "", ""},
      {"not UTF-8", file_of("{\"\xff\":1}", 0), kCorrupt, "header", "", ""},
      {"a list", file_of("[]", 0), kCorrupt, "header", "an object", "[]"},
      {"nested too deeply", file_of(one("\"U8\"", "[[[4]]]", "[0,4]"), 4), ErrorCode::kLimit, "header", "levels",
       "more"},
      {"duplicate name", file_of(R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"t":{}})", 0), kCorrupt,
       "header", "each key once", "\"t\""},
      {"duplicate key", file_of(R"({"t":{"dtype":"U8","dtype":"U8"}})", 0), kCorrupt, "header", "each key once",
       "dtype"},
      {"tensor is a number", file_of(R"({"t":1})", 0), kCorrupt, "\"t\"", "an object with dtype", "1"},
      {"unknown key", file_of(R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"strides":[1]}})", 0), kCorrupt,
       "\"t\"", "dtype, shape and data_offsets only", "strides"},
      {"metadata is a list", file_of(R"({"__metadata__":[]})", 0), kCorrupt, "__metadata__", "an object of strings",
       "[]"},
      {"metadata holds a number", file_of(R"({"__metadata__":{"a":1}})", 0), kCorrupt, "__metadata__.\"a\"", "a string",
       "1"},
      {"no dtype", file_of(R"({"t":{"shape":[0],"data_offsets":[0,0]}})", 0), kCorrupt, "\"t\".dtype", "a string",
       "nothing"},
      {"dtype is a number", file_of(one("8", "[4]", "[0,4]"), 4), kCorrupt, "\"t\".dtype", "a string", "8"},
      {"unknown dtype", file_of(one("\"F6_E3M2\"", "[4]", "[0,3]"), 3), ErrorCode::kUnsupported, "\"t\".dtype", "BF16",
       "\"F6_E3M2\""},
      {"no shape", file_of(R"({"t":{"dtype":"U8","data_offsets":[0,0]}})", 0), kCorrupt, "\"t\".shape", "a list",
       "nothing"},
      {"shape is a number", file_of(one("\"U8\"", "4", "[0,4]"), 4), kCorrupt, "\"t\".shape", "a list", "4"},
      {"negative size", file_of(one("\"U8\"", "[-4]", "[0,4]"), 4), kCorrupt, "\"t\".shape", "sizes from 0", "[-4]"},
      {"fractional size", file_of(one("\"U8\"", "[1.5]", "[0,4]"), 4), kCorrupt, "\"t\".shape", "sizes from 0", "1.5"},
      {"size 2^63", file_of(one("\"U8\"", "[9223372036854775808]", "[0,4]"), 4), kCorrupt, "\"t\".shape",
       "sizes from 0", "9223372036854775808"},
      {"too many axes", file_of(one("\"U8\"", "[1,1,1,1,1,1,1,1,4]", "[0,4]"), 4), ErrorCode::kLimit, "\"t\".shape",
       "at most 8", "9"},
      {"shape wraps around to 4 bytes", file_of(one("\"U8\"", "[4294967296,4294967296,4]", "[0,4]"), 4), kCorrupt,
       "\"t\".data_offsets", "countless bytes", "4 bytes"},
      {"bits wrap around", file_of(one("\"F32\"", "[4611686018427387905]", "[0,4]"), 4), kCorrupt, "\"t\".data_offsets",
       "countless bytes", "4 bytes"},
      {"huge shape with a zero", file_of(one("\"U8\"", "[4294967296,4294967296,0]", "[0,0]"), 0), kCorrupt,
       "\"t\".data_offsets", "countless bytes", "0 bytes"},
      {"half a byte", file_of(one("\"F4\"", "[1,3]", "[0,2]"), 2), kCorrupt, "\"t\".data_offsets", "countless bytes",
       "2 bytes"},
      {"no offsets", file_of(R"({"t":{"dtype":"U8","shape":[0]}})", 0), kCorrupt, "\"t\".data_offsets", "[begin, end]",
       "nothing"},
      {"three offsets", file_of(one("\"U8\"", "[4]", "[0,4,8]"), 4), kCorrupt, "\"t\".data_offsets", "[begin, end]",
       "[0,4,8]"},
      {"offsets reversed", file_of(one("\"U8\"", "[4]", "[4,0]"), 4), kCorrupt, "\"t\".data_offsets",
       "0 <= begin <= end", "[4,0]"},
      {"negative offset", file_of(one("\"U8\"", "[4]", "[-4,0]"), 4), kCorrupt, "\"t\".data_offsets",
       "0 <= begin <= end", "[-4,0]"},
      {"end beyond the file", file_of(one("\"U8\"", "[4]", "[0,4]"), 3), kCorrupt, "\"t\".data_offsets", "at most 3",
       "[0, 4]"},
      {"offsets far beyond the file", file_of(one("\"U8\"", "[4]", "[9223372036854775803,9223372036854775807]"), 4),
       kCorrupt, "\"t\".data_offsets", "at most 4", "9223372036854775807"},
      {"size does not fit", file_of(one("\"BF16\"", "[4]", "[0,4]"), 4), kCorrupt, "\"t\".data_offsets",
       "8 bytes for BF16 [4]", "[0, 4] = 4 bytes"},
      {"F4 counted as I8", file_of(one("\"F4\"", "[2,4]", "[0,8]"), 8), kCorrupt, "\"t\".data_offsets",
       "4 bytes for F4_E2M1 [2, 4]", "8 bytes"},
      {"overlap", file_of(two("[0,4]", "[3,7]"), 7), kCorrupt, "\"b\"", "where the tensor before ends", "byte"},
      {"the same bytes twice", file_of(two("[0,4]", "[0,4]"), 4), kCorrupt, "\"b\"", "where the tensor before ends",
       "byte"},
      {"gap", file_of(two("[0,4]", "[5,9]"), 9), kCorrupt, "\"b\"", "where the tensor before ends", "byte"},
      {"gap in front", file_of(one("\"U8\"", "[4]", "[1,5]"), 5), kCorrupt, "\"t\"", "where the tensor before ends",
       "byte"},
      {"bytes behind the last", file_of(ok, 5), kCorrupt, "x.safetensors", "where the last tensor ends", "bytes"},
  };
}

TEST(Safetensors, each_bad_file_is_refused_with_place_want_and_found) {
  for (const BadFile& bad : bad_files()) {
    const Result<SafetensorsFile> parsed = parse(bad.file);
    ASSERT_FALSE(parsed.ok()) << bad.why;
    EXPECT_EQ(parsed.error().code, bad.code) << bad.why << "\n" << parsed.error().to_string();
    EXPECT_THAT(parsed.error().in, HasSubstr("x.safetensors")) << bad.why;
    EXPECT_THAT(parsed.error().in, HasSubstr(bad.in)) << bad.why;
    EXPECT_THAT(parsed.error().want, HasSubstr(bad.want)) << bad.why;
    EXPECT_THAT(parsed.error().found, HasSubstr(bad.found)) << bad.why;
  }
}

TEST(Safetensors, a_file_cut_at_any_byte_is_refused) {
  const std::string file = file_of(two("[0,4]", "[4,8]"), 8);
  ASSERT_TRUE(parse(file).ok());
  for (size_t n = 0; n < file.size(); ++n) EXPECT_FALSE(parse(file.substr(0, n)).ok()) << n;
}

}  // namespace
}  // namespace hadal
