// V3.2's encoding: the worked examples, its rules for reasoning and results, and what it refuses.
#include <gtest/gtest.h>

#include <string>

#include "prompt/prompt_encoding.h"
#include "prompt/v32_literals.h"
#include "testing/conversations.h"

namespace hadal::testing {
namespace {

const PromptOptions kChat{.encoding = PromptEncoding::kV32, .thinking = ThinkingMode::kChat};
const PromptOptions kThinking{.encoding = PromptEncoding::kV32, .thinking = ThinkingMode::kThinking};

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// The worked examples were made from a copy of the release's encoder whose tool text lacks the blank lines.
std::string without_blank_lines_in_tools(const std::string& text) {
  return replaced(text, v32::kToolsHead, replaced(std::string(v32::kToolsHead), "\n\n", "\n"));
}

TEST(V32Literals, the_tools_text_is_that_of_the_release) {
  const std::string schema =
      R"({"name": "get_weather", "description": "Get the weather.", "parameters": {"type": "object", "properties": )"
      R"({"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}})";
  const std::string tools = std::string(v32::kToolsHead) + schema + std::string(v32::kToolsTail);
  EXPECT_EQ(tools.size(), 1334u);
  const std::string copy = without_blank_lines_in_tools(tools);
  EXPECT_EQ(copy.size(), 1327u);
  EXPECT_EQ(hash_prefix(copy), "22467078c5066374");
}

TEST(V32Prompt, short_conversations_read_as_in_v4) {
  constexpr std::string_view kSystemAndUser =
      R"([{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"What is 2+2?"}])";
  constexpr std::string_view kThreeTurns =
      R"([{"role":"user","content":"Hi"},{"role":"assistant","reasoning_content":"Greet.","content":"Hello!"},)"
      R"({"role":"user","content":"Bye"}])";
  EXPECT_EQ(hash_prefix(rendered(kSystemAndUser, kChat).text()), "f457fe75245b0f28");
  EXPECT_EQ(hash_prefix(rendered(kSystemAndUser, kThinking).text()), "66043ad4425c2d01");
  EXPECT_EQ(hash_prefix(rendered(kThreeTurns, kThinking).text()), "ede455bb4021bce4");
  EXPECT_TRUE(rendered(kThreeTurns, kThinking).starts_in_reasoning);
  EXPECT_FALSE(rendered(kThreeTurns, kChat).starts_in_reasoning);
}

TEST(V32Prompt, results_stand_in_the_order_of_the_messages) {
  const std::string text = rendered(two_calls(), kThinking).text();
  EXPECT_TRUE(
      text.ends_with("</｜DSML｜function_calls><｜end▁of▁sentence｜>\n\n<function_results>\n<result>{\"t\": 30}"
                     "</result>\n<result>{\"t\": 20}</result>\n</function_results>\n\n<think>"))
      << text;
  const std::string copy = without_blank_lines_in_tools(text);
  EXPECT_EQ(copy.size(), 1966u);
  EXPECT_EQ(hash_prefix(copy), "c90fe5e0a0e7eef8");
}

TEST(V32Prompt, a_new_question_drops_the_reasoning_before_it_although_tools_are_declared) {
  const std::string more = R"(,{"role":"assistant","reasoning_content":"Both known.","content":"Paris 20, Rome 30."},)"
                           R"({"role":"user","content":"Thanks"})";
  const std::string copy = without_blank_lines_in_tools(rendered(two_calls(more), kThinking).text());
  EXPECT_EQ(copy.size(), 2036u);
  EXPECT_EQ(hash_prefix(copy), "51e495af6a3eac8d");
}

TEST(V32Prompt, users_are_not_merged) {
  EXPECT_EQ(rendered(R"([{"role":"user","content":"A"},{"role":"user","content":"B"}])", kThinking).text(),
            "<｜begin▁of▁sentence｜><｜User｜>A<｜Assistant｜></think><｜User｜>B<｜Assistant｜><think>");
}

TEST(V32Prompt, a_developer_declares_in_front_of_the_question) {
  const std::string text =
      rendered(R"([{"role":"developer","content":"Q","response_format":{"type":"json_object"}}])", kChat).text();
  EXPECT_EQ(
      text,
      "<｜begin▁of▁sentence｜><｜User｜>\n\n## Response Format:\n\nYou MUST strictly adhere to the following schema "
      "to reply:\n{\"type\": \"json_object\"}\n\n# The user's message is: Q<｜Assistant｜></think>");
}

TEST(V32Prompt, an_earlier_developer_message_is_dropped_in_thinking_mode) {
  constexpr std::string_view kMessages =
      R"([{"role":"developer","content":"Old"},{"role":"assistant","content":"A"},{"role":"user","content":"New"}])";
  EXPECT_EQ(rendered(kMessages, kThinking).text(),
            "<｜begin▁of▁sentence｜>A<｜end▁of▁sentence｜><｜User｜>New<｜Assistant｜><think>");
  PromptOptions kept = kThinking;
  kept.drop_thinking = false;
  EXPECT_EQ(rendered(kMessages, kept).text(),
            "<｜begin▁of▁sentence｜><｜User｜>\n\n# The user's message is: Old<｜Assistant｜></think>A"
            "<｜end▁of▁sentence｜><｜User｜>New<｜Assistant｜><think>");
}

TEST(V32Prompt, an_answer_without_reasoning_has_an_empty_one) {
  EXPECT_EQ(rendered(R"([{"role":"user","content":"Q"},{"role":"assistant","content":"A"}])", kThinking).text(),
            "<｜begin▁of▁sentence｜><｜User｜>Q<｜Assistant｜><think></think>A<｜end▁of▁sentence｜>");
}

TEST(V32Prompt, messages_end_in_front_of_the_header_of_the_reply) {
  const std::vector<Message> messages = conversation(two_calls());
  const Prompt whole = render_prompt(messages, kThinking).value();
  ASSERT_EQ(whole.message_ends.size(), messages.size());
  const std::string text = whole.text();
  const auto front = [&](size_t i) { return std::string_view(text).substr(0, whole.message_ends[i]); };
  EXPECT_TRUE(front(0).ends_with("</functions>\n"));
  EXPECT_TRUE(front(1).ends_with("Rome?"));
  EXPECT_TRUE(front(2).ends_with("<｜end▁of▁sentence｜>"));
  EXPECT_TRUE(front(3).ends_with("<result>{\"t\": 30}</result>"));
  EXPECT_TRUE(front(4).ends_with("<result>{\"t\": 20}</result>"));
}

TEST(V32Prompt, what_the_encoding_does_not_have_is_refused_by_name) {
  struct Row {
    std::string_view messages;
    std::string_view what;
    std::string_view in;
  };
  constexpr std::string_view kWrongResults = "tool results are not those of the calls";
  const std::string one_of_two =
      two_calls().substr(0, two_calls().rfind(R"(,{"role":"tool")")) + R"(,{"role":"user","content":"x"}])";
  const std::string three_of_two = two_calls(R"(,{"role":"tool","content":"x"})");
  for (const Row& row : {
           Row{"[]", "conversation is empty", "messages"},
           Row{R"([{"role":"system","content":"x"}])", "conversation ends in a system message", "messages[0]"},
           Row{R"([{"role":"latest_reminder","content":"x"}])", "this model's encoding has no such role",
               "messages[0].role"},
           Row{R"([{"role":"user","content":"x","task":"query"}])", "this model's encoding has no tasks",
               "messages[0].task"},
           Row{R"([{"role":"developer","content":""}])", "developer message is empty", "messages[0].content"},
           Row{R"([{"role":"tool","content":"x"}])", kWrongResults, "messages[0]"},
           Row{R"([{"role":"user","content":"x"},{"role":"tool","content":"x"}])", kWrongResults, "messages[1]"},
           Row{one_of_two, kWrongResults, "messages[3]"},
           Row{three_of_two, kWrongResults, "messages[5]"},
       }) {
    const Result<Prompt> prompt = render_prompt(conversation(row.messages), kThinking);
    ASSERT_FALSE(prompt.ok()) << row.messages;
    EXPECT_EQ(prompt.error().what, row.what);
    EXPECT_EQ(prompt.error().in, row.in);
  }
  PromptOptions high = kThinking;
  high.effort = ReasoningEffort::kHigh;
  const Result<Prompt> prompt = render_prompt(conversation(R"([{"role":"user","content":"x"}])"), high);
  ASSERT_FALSE(prompt.ok());
  EXPECT_EQ(prompt.error().in, "reasoning_effort");
}

}  // namespace
}  // namespace hadal::testing
