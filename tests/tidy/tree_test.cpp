// The repository itself against every rule: style.md's "what a machine can check is a test".
#include <gtest/gtest.h>

#include "tidy/layers.h"
#include "tidy/source_rules.h"
#include "tidy/tree.h"
#include "tidy/tree_rules.h"

namespace hadal::tidy {
namespace {

const Tree& tree() {
  static const Tree tree = read_tree(HADAL_SOURCE_DIR);
  return tree;
}

TEST(Tidy, includes_follow_the_layers) {
  const Layers layers = Layers::parse(tree().text("tools/layers.txt"));
  std::vector<Violation> found;
  for (const TreeFile& file : tree().files) {
    if (!file.path.starts_with("src/") || !is_cpp(file.path)) continue;
    const auto more = check_includes(layers, file.path, tree().text(file.path));
    found.insert(found.end(), more.begin(), more.end());
  }
  EXPECT_TRUE(found.empty()) << to_string(found);
}

TEST(Tidy, sources_keep_the_rules_of_style) {
  std::vector<Violation> found;
  for (const TreeFile& file : tree().files) {
    if (!is_text(file.path) || file.path.starts_with("tests/data/") || file.path.starts_with("models/") ||
        file.path.starts_with("fuzz/corpus/")) {
      continue;
    }
    const std::string text = tree().text(file.path);
    for (const auto& more : {check_source(file.path, text), check_document_names(file.path, text, tree().files)}) {
      found.insert(found.end(), more.begin(), more.end());
    }
  }
  EXPECT_TRUE(found.empty()) << to_string(found);
}

TEST(Tidy, the_tree_is_small_and_has_no_stray_blobs) {
  const auto found = check_sizes(tree().files);
  EXPECT_TRUE(found.empty()) << to_string(found);
}

TEST(Tidy, every_op_has_contract_reference_test_and_benchmark) {
  const auto found = check_op_folders(tree().files);
  EXPECT_TRUE(found.empty()) << to_string(found);
}

TEST(Tidy, every_fuzz_target_has_a_kept_corpus) {
  const auto found = check_fuzz_corpora(tree().files);
  EXPECT_TRUE(found.empty()) << to_string(found);
}

TEST(Tidy, code_is_formatted) {
  const auto formatter = find_clang_format();
  if (!formatter) GTEST_SKIP() << "clang-format " << kClangFormatVersion << " is not installed";
  const auto found = check_format(*formatter, tree());
  EXPECT_TRUE(found.empty()) << to_string(found);
}

}  // namespace
}  // namespace hadal::tidy
