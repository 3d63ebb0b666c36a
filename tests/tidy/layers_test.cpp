#include "tidy/layers.h"

#include <gtest/gtest.h>

namespace hadal::tidy {
namespace {

const Layers kLayers = Layers::parse(
    "# comment\n"
    "base\n"
    "formats tokenizer  # strangers\n"
    "model\n");

std::string check(const char* path, const char* text) {
  return to_string(check_includes(kLayers, path, text));
}

TEST(Layers, a_folder_includes_itself_and_those_above_it_in_the_list) {
  EXPECT_EQ(check("src/model/a.cpp", "#include <map>\n#include \"model/a.h\"\n#include \"base/b.h\"\n"), "");
}

TEST(Layers, a_folder_below_is_refused_with_its_line) {
  EXPECT_EQ(check("src/base/a.cpp", "#include \"base/a.h\"\n#include \"model/m.h\"\n"),
            "src/base/a.cpp:2: [include-layer] base must not know model (tools/layers.txt): "
            "move what it needs down, or this file up\n");
}

TEST(Layers, folders_of_one_line_are_strangers) {
  EXPECT_NE(check("src/formats/a.h", "#  include \"tokenizer/t.h\"\n"), "");
}

TEST(Layers, includes_are_written_from_src) {
  EXPECT_NE(check("src/model/a.cpp", "#include \"../base/b.h\"\n"), "");
  EXPECT_NE(check("src/model/a.cpp", "#include \"a.h\"\n"), "");
}

TEST(Layers, only_tests_and_benchmarks_include_test_helpers) {
  EXPECT_EQ(check("src/model/a_test.cpp", "#include \"testing/goldens.h\"\n"), "");
  EXPECT_NE(check("src/model/a.cpp", "#include \"testing/goldens.h\"\n"), "");
}

TEST(Layers, comments_and_strings_are_no_includes) {
  EXPECT_EQ(check("src/base/a.cpp", "// #include \"model/m.h\"\nconst char* s = \"#include\";\n"), "");
}

TEST(Layers, a_folder_without_a_layer_is_refused) {
  EXPECT_NE(check("src/stray/a.cpp", ""), "");
}

}  // namespace
}  // namespace hadal::tidy
