#include "prompt/v4_literals.h"

#include <gtest/gtest.h>

#include <string>

#include "base/hash.h"

namespace hadal::v4 {
namespace {

std::string hash_prefix(std::string_view text) {
  return to_hex(sha256(text)).substr(0, 16);
}

TEST(V4Literals, effort_prefixes_are_those_of_the_release) {
  EXPECT_EQ(kEffortAbsoluteMaximum.size(), 476u);
  EXPECT_EQ(hash_prefix(kEffortAbsoluteMaximum), "f7a24f3b3050d4a8");
  EXPECT_EQ(kEffortBeyondMaximum.size(), 528u);
  EXPECT_EQ(hash_prefix(kEffortBeyondMaximum), "53fb31b8392ec5b4");
}

TEST(V4Literals, the_tools_text_is_that_of_the_release) {
  const std::string schema =
      R"({"name": "get_weather", "description": "Get the weather.", "parameters": {"type": "object", "properties": )"
      R"({"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}})";
  const std::string tools = tools_head(kTags) + schema + std::string(kToolsTail);
  EXPECT_EQ(tools.size(), 1176u);
  EXPECT_EQ(hash_prefix(tools), "7886321518f7c692");
  const std::string of_v41 = tools_head(kTagsOfV41) + schema + std::string(kToolsTail);
  EXPECT_EQ(of_v41.size(), 1170u);
  EXPECT_EQ(hash_prefix(of_v41), "2943bebee4ed0323");
}

TEST(V4Literals, every_task_has_its_token_and_others_have_none) {
  EXPECT_EQ(task_token("action"), "<｜action｜>");
  EXPECT_EQ(task_token("query"), "<｜query｜>");
  EXPECT_EQ(task_token("authority"), "<｜authority｜>");
  EXPECT_EQ(task_token("domain"), "<｜domain｜>");
  EXPECT_EQ(task_token("title"), "<｜title｜>");
  EXPECT_EQ(task_token("read_url"), "<｜read_url｜>");
  EXPECT_EQ(task_token("Title"), "");
  EXPECT_EQ(task_token(""), "");
}

}  // namespace
}  // namespace hadal::v4
