#include "formats/gguf/gguf_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/gguf/gguf_file.h"
#include "testing/checkpoint_builder.h"
#include "testing/temp_folder.h"

namespace hadal {
namespace {

using test::must;
using test::TempFolder;
using ::testing::ElementsAre;

GgufMetadata some_metadata() {
  GgufMetadata metadata;
  metadata.add("text", std::string_view("deep"));
  metadata.add("n", uint32_t{7});
  metadata.add("real", 0.25f);
  metadata.add("flag", true);
  metadata.add("texts", std::vector<std::string>{"a", "", "\xff"});
  metadata.add("ints", std::vector<int32_t>{-1, 2});
  metadata.add("naturals", std::vector<uint32_t>{1, 2, 3});
  metadata.add("reals", std::vector<float>{1.5f});
  return metadata;
}

std::vector<TensorToWrite> some_tensors() {
  return {{"a", DType::kF32, {3, 5}}, {"b", DType::kQ4K, {2, 3, 256}}, {"c", DType::kI32, {1}}};
}

TEST(GgufWriter, what_is_written_in_pieces_is_read_back) {
  const TempFolder folder;
  const fs::path path = folder / "m.gguf";
  GgufWriter writer = must(GgufWriter::create(path, some_metadata(), some_tensors()));
  std::string bytes;
  for (const TensorToWrite& tensor : some_tensors()) {
    const std::string content(tensor.bytes(), tensor.name[0]);
    for (size_t begin = 0; begin < content.size(); begin += 100) {
      ASSERT_TRUE(
          writer.write(std::as_bytes(std::span(content)).subspan(begin, std::min<size_t>(100, content.size() - begin)))
              .ok());
    }
  }
  EXPECT_FALSE(fs::exists(path)) << "nothing is there before the commit";
  ASSERT_TRUE(writer.commit().ok());

  const MappedFile mapped = must(MappedFile::open(path));
  const GgufFile file = must(parse_gguf(mapped.bytes(), "m.gguf"));
  EXPECT_EQ(file.version, 3u);
  EXPECT_EQ(file.alignment, 4096u);
  EXPECT_EQ(file.find("text")->as_string(), "deep");
  EXPECT_EQ(file.find("n")->as_int(), 7);
  EXPECT_EQ(file.find("real")->as_real(), 0.25);
  EXPECT_EQ(file.find("flag")->as_bool(), true);
  EXPECT_THAT(*file.find("texts")->strings(), ElementsAre("a", "", "\xff"));
  EXPECT_EQ(file.find("ints")->as_int(0), -1);
  EXPECT_EQ(file.find("naturals")->as_int(2), 3);
  EXPECT_EQ(file.find("reals")->as_real(), 1.5);
  ASSERT_EQ(file.tensors.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const TensorToWrite want = some_tensors()[i];
    const StoredTensor& found = file.tensors[i];
    EXPECT_EQ(found.name, want.name);
    EXPECT_EQ(found.dtype, want.dtype);
    EXPECT_EQ(found.shape, want.shape);
    EXPECT_EQ(found.file_offset % 4096, 0u);
    for (const std::byte byte : found.bytes) ASSERT_EQ(static_cast<char>(byte), want.name[0]);
  }
}

TEST(GgufWriter, a_file_that_is_not_committed_leaves_nothing) {
  const TempFolder folder;
  {
    GgufWriter writer = must(GgufWriter::create(folder / "m.gguf", {}, some_tensors()));
    ASSERT_TRUE(writer.write(std::vector<std::byte>(60)).ok());
  }
  EXPECT_EQ(folder.n_files(), 0u);
}

TEST(GgufWriter, a_folder_that_is_not_there_is_an_error) {
  const TempFolder folder;
  const Result<GgufWriter> writer = GgufWriter::create(folder / "none" / "m.gguf", {}, {});
  ASSERT_FALSE(writer.ok());
  EXPECT_FALSE(writer.error().in.empty());
}

}  // namespace
}  // namespace hadal
