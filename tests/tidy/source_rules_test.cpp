#include "tidy/source_rules.h"

#include <gtest/gtest.h>

#include <string>

namespace hadal::tidy {
namespace {

// "LINE rule" for each finding, joined by ", ".
std::string check(std::string_view path, std::string_view text) {
  std::string found;
  for (const Violation& v : check_source(path, text)) {
    EXPECT_EQ(v.path, path);
    EXPECT_FALSE(v.fix.empty());
    found += (found.empty() ? "" : ", ") + std::to_string(v.line) + " " + v.rule;
  }
  return found;
}

TEST(SourceRules, clean_code_has_no_findings) {
  EXPECT_EQ(check("src/ops/a.cpp", "// A new idea.\n#include <new>\nint renew = 1'000;\nstatic_assert(true);\n"), "");
}

TEST(SourceRules, banned_words_are_found_in_code_only) {
  EXPECT_EQ(check("src/a.cpp", "int a;\nstd::regex r;\n"), "2 banned-word");
  EXPECT_EQ(check("src/a.cpp", "using namespace std;\n"), "1 banned-word");
  EXPECT_EQ(check("src/a.cpp", "void f() { assert(true); }\n"), "1 banned-word");
  EXPECT_EQ(check("src/a.cpp", "// not std::regex\n/* assert(\n */ auto s = \"using namespace std\";\n"), "");
  EXPECT_EQ(check("src/a.cpp", "auto s = R\"x(std::regex \")x\"; std::regex r;\n"), "1 banned-word");
}

TEST(SourceRules, raw_new_is_for_base_only) {
  EXPECT_EQ(check("src/ops/a.cpp", "auto* p = new int(1);\n"), "1 raw-new");
  EXPECT_EQ(check("src/base/a.cpp", "auto* p = new int(1);\n"), "");
}

TEST(SourceRules, a_note_needs_an_issue) {
  EXPECT_EQ(check("src/a.cpp",
                  "// TO"
                  "DO: later\n"),
            "1 todo");
  EXPECT_EQ(check("notes/a.md",
                  "TO"
                  "DO(#x)\n"),
            "1 todo");
  EXPECT_EQ(check("src/a.cpp",
                  "// TO"
                  "DO(#12): later\n// TO"
                  "DO #7\n"),
            "");
  EXPECT_EQ(check("notes/a.md",
                  "a\nFIX"
                  "ME\n"),
            "2 fixme");
}

TEST(SourceRules, headers_are_included_once) {
  EXPECT_EQ(check("src/a.h", "int a;\n"), "0 pragma-once");
  EXPECT_EQ(check("src/a.h", "// What a is.\n#pragma once\nint a;\n"), "");
}

TEST(SourceRules, a_file_of_801_lines_is_two) {
  std::string text;
  for (size_t i = 0; i < kFileLinesMax; ++i) text += "\n";
  EXPECT_EQ(check("src/a.cpp", text), "");
  EXPECT_EQ(check("src/a.cpp", text + "\n"), "0 file-length");
  EXPECT_EQ(check("notes/a.md", text + "\n"), "");
}

TEST(SourceRules, columns_are_counted_in_code_points) {
  std::string umlauts;
  for (size_t i = 0; i < kLineColumnsMax - 2; ++i) umlauts += "\u00fc";
  EXPECT_EQ(check("src/a.cpp", "//" + umlauts), "");
  EXPECT_EQ(check("src/a.cpp", "//" + umlauts + "x"), "1 line-length");
  EXPECT_EQ(check("notes/a.md", "//" + umlauts + "x"), "");
  EXPECT_EQ(check("src/a.cpp", "// clang-format off\n//" + umlauts + "x\n// clang-format on\n"), "");
  EXPECT_EQ(check("src/a.cpp", "auto s = R\"(\n" + umlauts + "xxx\n)\";\n//" + umlauts + "x\n"), "4 line-length");
}

TEST(SourceRules, tabs_are_for_makefiles) {
  EXPECT_EQ(check("tools/a.sh", "\ttrue\n"), "1 tab");
  EXPECT_EQ(check("Makefile", "all:\n\ttrue\n"), "");
}

TEST(SourceRules, paths_of_one_machine_are_found) {
  EXPECT_EQ(check("notes/a.md",
                  "see /"
                  "home/me/model\n"),
            "1 machine-path");
  EXPECT_EQ(check("src/a.cpp",
                  "auto p = \"/"
                  "root/x\";\n"),
            "1 machine-path");
  EXPECT_EQ(check("notes/a.md",
                  "see docs/"
                  "home/me, https://example.org/"
                  "home/x and ~/"
                  "work/x\n"),
            "");
}

}  // namespace
}  // namespace hadal::tidy
