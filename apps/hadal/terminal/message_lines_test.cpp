#include "terminal/message_lines.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hadal {
namespace {

// The messages that these lines make; an open one at the end is shown in brackets.
std::vector<std::string> messages(const std::vector<std::string>& lines) {
  MessageLines reader;
  std::vector<std::string> found;
  for (const std::string& line : lines) {
    if (reader.push(line).value()) found.push_back(reader.take());
  }
  if (reader.is_open()) found.push_back("[" + reader.take() + "]");
  return found;
}

using Texts = std::vector<std::string>;

TEST(MessageLines, a_plain_line_is_a_message) {
  EXPECT_EQ(messages({"one", "", "two"}), (Texts{"one", "", "two"}));
}

TEST(MessageLines, a_backslash_at_the_end_goes_on_in_the_next_line) {
  EXPECT_EQ(messages({"one\\", "two\\", "three"}), (Texts{"one\ntwo\nthree"}));
  EXPECT_EQ(messages({"one\\"}), (Texts{"[one]"}));
  EXPECT_EQ(messages({"\\", "x"}), (Texts{"\nx"}));
}

TEST(MessageLines, two_backslashes_at_the_end_are_text) {
  EXPECT_EQ(messages({"C:\\\\"}), (Texts{"C:\\\\"}));
  EXPECT_EQ(messages({"C:\\\\\\", "x"}), (Texts{"C:\\\\\nx"}));
}

TEST(MessageLines, a_block_holds_everything_between_its_fences) {
  EXPECT_EQ(messages({"\"\"\"", "def f():", "  return \\", "", "\"\"\""}), (Texts{"def f():\n  return \\\n"}));
  EXPECT_EQ(messages({"\"\"\"one", "two\"\"\"", "three"}), (Texts{"one\ntwo", "three"}));
  EXPECT_EQ(messages({"\"\"\"one line\"\"\""}), (Texts{"one line"}));
  EXPECT_EQ(messages({"\"\"\"", "open"}), (Texts{"[\nopen]"}));
}

TEST(MessageLines, a_block_may_be_pasted_as_one_line_with_line_feeds) {
  EXPECT_EQ(messages({"\"\"\"\na\nb\n\"\"\""}), (Texts{"a\nb"}));
}

TEST(MessageLines, fences_inside_a_line_are_text) {
  EXPECT_EQ(messages({"say \"\"\""}), (Texts{"say \"\"\""}));
}

TEST(MessageLines, a_message_beyond_the_limit_is_refused_and_dropped) {
  MessageLines reader;
  const std::string half(kMessageBytesMax / 2, 'x');
  EXPECT_FALSE(reader.push(half + "\\").value());
  const Result<bool> result = reader.push(half);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().what, "message is too long");
  EXPECT_EQ(result.error().want, "at most 4.0 MiB");
  EXPECT_FALSE(reader.is_open());
  EXPECT_EQ(reader.take(), "");
}

}  // namespace
}  // namespace hadal
