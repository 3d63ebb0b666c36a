#include "model/convert/importance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "formats/gguf/gguf_writer.h"
#include "testing/temp_folder.h"

namespace hadal {
namespace {

using test::TempFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ImportanceMatrix two_experts() {
  ImportanceMatrix matrix;
  matrix.n_chunks = 3;
  matrix.chunk_tokens = 512;
  matrix.tensors["blk.0.ffn_up_exps.weight"] = {.cols = 2, .sums = {4, 8, 0, 0}, .counts = {4, 0}};
  return matrix;
}

struct BadFile {
  const char* what;
  std::string sums_name;
  std::vector<int64_t> sums_shape;
  std::vector<float> sums;
  std::string counts_name;
  std::vector<float> counts;
  const char* type;
  const char* want;
};

void write_file(const fs::path& path, const BadFile& bad) {
  GgufMetadata metadata;
  metadata.add("general.type", std::string_view(bad.type));
  const auto n = static_cast<int64_t>(bad.counts.size());
  GgufWriter writer = *GgufWriter::create(path, std::move(metadata),
                                          {{.name = bad.sums_name, .dtype = DType::kF32, .shape = bad.sums_shape},
                                           {.name = bad.counts_name, .dtype = DType::kF32, .shape = {n, 1}}});
  ASSERT_TRUE(writer.write(std::as_bytes(std::span(bad.sums))).ok());
  ASSERT_TRUE(writer.write(std::as_bytes(std::span(bad.counts))).ok());
  ASSERT_TRUE(writer.commit().ok());
}

TEST(Importance, comes_back_from_its_file) {
  const TempFolder folder;
  ASSERT_TRUE(write_importance(two_experts(), folder / "i.gguf").ok());
  const Result<ImportanceMatrix> back = read_importance(folder / "i.gguf");
  ASSERT_TRUE(back.ok()) << back.error().to_string();
  EXPECT_EQ(back->n_chunks, 3);
  EXPECT_EQ(back->chunk_tokens, 512);
  ASSERT_EQ(back->tensors.size(), 1u);
  const TensorImportance& tensor = back->tensors.begin()->second;
  EXPECT_EQ(tensor.cols, 2);
  EXPECT_THAT(tensor.sums, ElementsAre(4, 8, 0, 0));
  EXPECT_THAT(tensor.counts, ElementsAre(4, 0));
}

TEST(Importance, is_the_mean_square_and_nothing_where_no_token_came) {
  const ImportanceMatrix matrix = two_experts();
  EXPECT_THAT(*matrix.mean_squares("blk.0.ffn_up_exps.weight", 0, 2, 2), ElementsAre(1, 2));
  EXPECT_THAT(*matrix.mean_squares("blk.0.ffn_up_exps.weight", 1, 2, 2), IsEmpty());
  EXPECT_THAT(*matrix.mean_squares("blk.0.attn_kv.weight", 0, 1, 2), IsEmpty());
}

TEST(Importance, of_another_model_is_refused_by_name) {
  for (const auto& [n, cols] : {std::pair<size_t, int64_t>{3, 2}, {2, 4}}) {
    const auto means = two_experts().mean_squares("blk.0.ffn_up_exps.weight", 0, n, cols);
    ASSERT_FALSE(means.ok());
    EXPECT_EQ(means.error().code, ErrorCode::kInvalid);
    EXPECT_THAT(means.error().in, HasSubstr("blk.0.ffn_up_exps.weight"));
    EXPECT_EQ(means.error().found, "2 x 2");
  }
}

TEST(Importance, bad_files_are_refused_by_name) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const BadFile kBad[] = {
      {"a model", "a.in_sum2", {1, 2}, {1, 1}, "a.counts", {1}, "model", "\"imatrix\""},
      {"no counts", "a.in_sum2", {1, 2}, {1, 1}, "b.counts", {1}, "imatrix", "a.counts"},
      {"too many counts", "a.in_sum2", {1, 2}, {1, 1}, "a.counts", {1, 1}, "imatrix", "each of the 1 rows"},
      {"negative", "a.in_sum2", {1, 2}, {1, -1}, "a.counts", {1}, "imatrix", "at least 0"},
      {"NaN", "a.in_sum2", {1, 2}, {nan, 1}, "a.counts", {1}, "imatrix", "at least 0"},
      {"counts of infinity", "a.in_sum2", {1, 2}, {1, 1}, "a.counts", {INFINITY}, "imatrix", "at least 0"},
      {"nothing", "a.sums", {1, 2}, {1, 1}, "a.counts", {1}, "imatrix", "*.in_sum2"},
  };
  const TempFolder folder;
  for (const BadFile& bad : kBad) {
    write_file(folder / "bad.gguf", bad);
    const Result<ImportanceMatrix> read = read_importance(folder / "bad.gguf");
    ASSERT_FALSE(read.ok()) << bad.what;
    EXPECT_EQ(read.error().code, ErrorCode::kCorrupt) << bad.what;
    EXPECT_THAT(read.error().want, HasSubstr(bad.want)) << bad.what;
    EXPECT_THAT(read.error().in, HasSubstr("bad.gguf")) << bad.what;
  }
  folder.write("old.dat", std::string("\x05\0\0\0", 4));
  EXPECT_EQ(read_importance(folder / "old.dat").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(read_importance(folder / "none.gguf").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace hadal
