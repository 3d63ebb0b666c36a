#include "prompt/dsml_tag.h"

#include <gtest/gtest.h>

namespace hadal::dsml {
namespace {

// "~" stands for the marker.
std::string with_markers(std::string_view text) {
  std::string marked;
  for (const char c : text) marked += c == '~' ? kMarker : c;
  return marked;
}

Tag found(std::string_view text) {
  return find_tag(with_markers(text));
}

TEST(DsmlTag, tags_are_found_with_their_borders_and_attributes) {
  Tag tag = found("ab\n<~tool_calls>\ncd");
  EXPECT_EQ(tag.kind, Tag::Kind::kBlock);
  EXPECT_FALSE(tag.is_closing);
  EXPECT_EQ(tag.begin, 3u);
  EXPECT_EQ(tag.end, 16u);

  tag = found("<~invoke name=\"get weather\">\n");
  EXPECT_EQ(tag.kind, Tag::Kind::kInvoke);
  EXPECT_EQ(tag.name, "get weather");
  EXPECT_EQ(tag.end, 28u);

  tag = found("<~parameter name=\"a\"b>\" string=\"false\">1</~parameter>");
  EXPECT_EQ(tag.kind, Tag::Kind::kParameter);
  EXPECT_EQ(tag.name, "a\"b>");
  EXPECT_FALSE(tag.is_string);
  EXPECT_EQ(found("<~parameter name=\"a\" string=\"true\">").is_string, true);

  tag = found("1</~parameter>");
  EXPECT_EQ(tag.kind, Tag::Kind::kParameter);
  EXPECT_TRUE(tag.is_closing);
  EXPECT_EQ(tag.begin, 1u);
}

TEST(DsmlTag, more_bars_and_a_missing_opener_are_forgiven) {
  EXPECT_EQ(found("<｜~｜invoke name=\"f\">").name, "f");
  EXPECT_EQ(found("<｜~｜invoke name=\"f\">").begin, 0u);
  EXPECT_EQ(found("</｜~｜tool_calls>").is_closing, true);
  EXPECT_EQ(found("~tool_calls>").kind, Tag::Kind::kBlock);
  EXPECT_EQ(found("</~invoke\n").end, 9u);  // the `>` is missing
}

TEST(DsmlTag, every_proper_beginning_of_a_tag_waits_for_more) {
  for (const char* text : {"<~invoke name=\"f\">", "<~parameter name=\"k\" string=\"true\">", "</~parameter>",
                           "<~tool_calls>", "</｜~｜invoke>"}) {
    const std::string whole = with_markers(text);
    for (size_t n = whole.find(kMarker) + 1; n < whole.size(); ++n) {
      EXPECT_EQ(find_tag(whole.substr(0, n)).kind, Tag::Kind::kIncomplete) << text << " " << n;
    }
    EXPECT_NE(find_tag(whole).kind, Tag::Kind::kIncomplete) << text;
  }
}

TEST(DsmlTag, characters_that_look_like_the_marker_are_no_tag) {
  EXPECT_EQ(found("<｜DSML｜tool_calls>").kind, Tag::Kind::kNone);
}

TEST(DsmlTag, other_names_are_unknown_and_wrong_attributes_malformed) {
  EXPECT_EQ(found("<~tool_callsx>").kind, Tag::Kind::kUnknown);
  EXPECT_EQ(found("<~function>").kind, Tag::Kind::kUnknown);
  EXPECT_EQ(found("a ~ b").kind, Tag::Kind::kUnknown);
  EXPECT_EQ(found("<~invoke>").kind, Tag::Kind::kMalformed);
  EXPECT_EQ(found("<~invoke  name=\"f\">").kind, Tag::Kind::kMalformed);
  EXPECT_EQ(found("<~parameter name=\"k\">v</~parameter>").kind, Tag::Kind::kMalformed);
  EXPECT_EQ(found("<~invoke name=\"f<~parameter").kind, Tag::Kind::kMalformed);
}

TEST(DsmlTag, a_name_beyond_the_limit_is_malformed_and_one_within_it_is_not) {
  const std::string opening = "<~invoke name=\"";
  const std::string closing = "\">";
  const size_t attributes_bytes = std::string_view(" name=\"").size() + closing.size();
  const std::string longest(kTagBytesMax - attributes_bytes, 'n');
  EXPECT_EQ(found(opening + longest + closing).name, longest);
  EXPECT_EQ(found(opening + longest + "n" + closing).kind, Tag::Kind::kMalformed);
  EXPECT_EQ(found(opening + std::string(2 * kTagBytesMax, 'n')).kind, Tag::Kind::kMalformed);
}

TEST(DsmlTag, the_opener_at_the_end_is_what_may_begin_a_tag) {
  EXPECT_EQ(opener_suffix("a<"), 1u);
  EXPECT_EQ(opener_suffix("a</"), 2u);
  EXPECT_EQ(opener_suffix("a<｜"), 4u);
  EXPECT_EQ(opener_suffix("a</｜"), 5u);
  EXPECT_EQ(opener_suffix("a｜"), 0u);
  EXPECT_EQ(opener_suffix("a< "), 0u);
  EXPECT_EQ(opener_suffix(""), 0u);
}

}  // namespace
}  // namespace hadal::dsml
