#include "tidy/tree_rules.h"

#include <gtest/gtest.h>

namespace hadal::tidy {
namespace {

TEST(TreeRules, a_large_file_is_data_or_a_mistake) {
  const std::vector<TreeFile> files = {{"models/m.safetensors", kBlobBytesMax + 1}, {"docs/a.png", kBlobBytesMax + 1}};
  const auto found = check_sizes(files);
  ASSERT_EQ(found.size(), 1u) << to_string(found);
  EXPECT_EQ(found[0].path, "docs/a.png");
}

TEST(TreeRules, the_whole_tree_has_a_limit) {
  EXPECT_TRUE(check_sizes(std::vector<TreeFile>{{"models/m", kTreeBytesMax}}).empty());
  EXPECT_FALSE(check_sizes(std::vector<TreeFile>{{"models/m", kTreeBytesMax}, {"a.txt", 1}}).empty());
}

TEST(TreeRules, an_op_without_one_of_its_files_is_named) {
  const std::vector<TreeFile> whole = {{"src/ops/versions.h"},
                                       {"src/ops/rope/rope.h"},
                                       {"src/ops/rope/rope_reference.cpp"},
                                       {"src/ops/rope/rope_test.cpp"},
                                       {"src/ops/rope/rope_bench.cpp"}};
  EXPECT_TRUE(check_op_folders(whole).empty());
  for (size_t i = 1; i < whole.size(); ++i) {
    std::vector<TreeFile> files = whole;
    files.erase(files.begin() + static_cast<std::ptrdiff_t>(i));
    const auto found = check_op_folders(files);
    ASSERT_EQ(found.size(), 1u) << whole[i].path << "\n" << to_string(found);
    EXPECT_EQ(found[0].path, "src/ops/rope/");
  }
}

TEST(TreeRules, targets_and_corpora_come_in_pairs) {
  EXPECT_TRUE(check_fuzz_corpora(std::vector<TreeFile>{{"fuzz/a_fuzz.cpp"}, {"fuzz/corpus/a/1"}}).empty());
  EXPECT_EQ(check_fuzz_corpora(std::vector<TreeFile>{{"fuzz/a_fuzz.cpp"}, {"fuzz/corpus/b/1"}}).size(), 2u);
}

TEST(TreeRules, documents_that_are_named_exist) {
  const std::vector<TreeFile> files = {{"docs/state.md"}};
  const auto check = [&](const char* text) { return check_document_names("src/a.h", text, files).size(); };
  EXPECT_EQ(check("// See docs/state.md, and docs/state.md.\n"), 0u);
  EXPECT_EQ(check("// the kernel's docs/ folder; other/docs/x.md\n"), 0u);
  EXPECT_EQ(check("// See docs/"
                  "missing.md.\n"),
            1u);
}

}  // namespace
}  // namespace hadal::tidy
