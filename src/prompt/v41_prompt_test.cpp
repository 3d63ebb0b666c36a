// V4.1's encoding: the worked examples (length in bytes, first 16 hex digits of SHA-256), what differs from V4, and
// that what the model writes in it is read back.
#include <gtest/gtest.h>

#include <string>

#include "prompt/dsml_parser.h"
#include "prompt/prompt_encoding.h"
#include "testing/conversations.h"

namespace hadal::testing {
namespace {

const PromptOptions kChat{.encoding = PromptEncoding::kV41, .thinking = ThinkingMode::kChat};
const PromptOptions kThinking{.encoding = PromptEncoding::kV41, .thinking = ThinkingMode::kThinking};

constexpr std::string_view kSystemAndUser =
    R"([{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"What is 2+2?"}])";
constexpr std::string_view kLateSystem = R"([{"role":"user","content":"Hi"},{"role":"system","content":"Be brief."}])";

void expect_text(const Prompt& prompt, size_t bytes, std::string_view hash) {
  const std::string text = prompt.text();
  EXPECT_EQ(text.size(), bytes) << text;
  EXPECT_EQ(hash_prefix(text), hash) << text;
}

PromptOptions thinking_at(int level) {
  PromptOptions options = kThinking;
  options.effort_level = level;
  return options;
}

TEST(V41Prompt, system_and_user) {
  const Prompt chat = rendered(kSystemAndUser, kChat);
  EXPECT_EQ(
      chat.text(),
      "<｜begin▁of▁sentence｜><｜System｜>You are a helpful assistant.<｜User｜>What is 2+2?<｜Assistant｜></think>");
  expect_text(chat, 120, "0c63340ad49a3878");
  expect_text(rendered(kSystemAndUser, kThinking), 210, "8a3319300ffbb7d1");
}

TEST(V41Prompt, calls_and_results) {
  expect_text(rendered(two_calls(), kThinking), 1915, "de0d1ae97716861a");
}

TEST(V41Prompt, a_later_system_message_counts_as_the_last_users) {
  EXPECT_EQ(
      rendered(kLateSystem, thinking_at(10)).text(),
      "<｜begin▁of▁sentence｜><｜System｜>Reasoning Effort: 10 (range 1-100, the higher the value, the more thorough "
      "the reasoning)\n\n<｜User｜>Hi<｜System｜>Be brief.<｜Assistant｜><think>");
  EXPECT_EQ(rendered(kLateSystem, kChat).text(),
            "<｜begin▁of▁sentence｜><｜User｜>Hi<｜System｜>Be brief.<｜Assistant｜></think>");
  const Prompt third =
      rendered(R"([{"role":"user","content":"Hi"},{"role":"assistant","reasoning_content":"R","content":"A"},)"
               R"({"role":"system","content":"S"}])",
               kThinking);
  EXPECT_NE(
      third.text().find("<｜User｜>Hi<｜Assistant｜></think>A<｜end▁of▁sentence｜><｜System｜>S<｜Assistant｜><think>"),
      std::string::npos)
      << third.text();
}

TEST(V41Prompt, efforts_are_levels_and_names_stand_for_them) {
  const auto level = [](ReasoningEffort effort) {
    PromptOptions options = kThinking;
    options.effort = effort;
    const std::string text = rendered(kSystemAndUser, options).text();
    const size_t begin = text.find("Effort: ") + 8;
    return text.substr(begin, text.find(' ', begin) - begin);
  };
  EXPECT_EQ(level(ReasoningEffort::kNone), "75");
  EXPECT_EQ(level(ReasoningEffort::kLow), "50");
  EXPECT_EQ(level(ReasoningEffort::kHigh), "75");
  EXPECT_EQ(level(ReasoningEffort::kMax), "100");
  EXPECT_NE(rendered(kSystemAndUser, thinking_at(1)).text().find("Effort: 1 (range"), std::string::npos);
}

TEST(V41Prompt, levels_outside_the_range_or_for_other_encodings_are_refused) {
  for (const int level : {-1, 101}) {
    const Result<Prompt> prompt = render_prompt(conversation(kSystemAndUser), thinking_at(level));
    ASSERT_FALSE(prompt.ok()) << level;
    EXPECT_EQ(prompt.error().in, "reasoning_effort");
  }
  for (const PromptEncoding encoding : {PromptEncoding::kV4Preview, PromptEncoding::kV32, PromptEncoding::kV31}) {
    PromptOptions options = thinking_at(30);
    options.encoding = encoding;
    const Result<Prompt> prompt = render_prompt(conversation(kSystemAndUser), options);
    ASSERT_FALSE(prompt.ok()) << prompt_encoding_name(encoding);
    EXPECT_EQ(prompt.error().found, "30");
  }
}

TEST(V41Prompt, a_conversation_of_one_system_message_is_refused) {
  EXPECT_FALSE(render_prompt(conversation(R"([{"role":"system","content":"S"}])"), kChat).ok());
}

TEST(V41Prompt, arguments_that_were_encoded_twice_are_opened) {
  const std::string once = rendered(R"([{"role":"user","content":"u"},{"role":"assistant","tool_calls":[{"function":)"
                                    R"({"name":"f","arguments":"{\"a\": 1}"}}]}])",
                                    kChat)
                               .text();
  const std::string twice = rendered(R"([{"role":"user","content":"u"},{"role":"assistant","tool_calls":[{"function":)"
                                     R"({"name":"f","arguments":"\"{\\\"a\\\": 1}\""}}]}])",
                                     kChat)
                                .text();
  EXPECT_EQ(once, twice);
  EXPECT_NE(once.find("<｜DSML｜ parameter name=\"a\" string=\"false\">1</｜DSML｜ parameter>"), std::string::npos)
      << once;
}

// Cut at every byte: with the blank or without it, the tags are the same.
TEST(V41Prompt, calls_are_read_with_a_blank_behind_the_marker) {
  const std::string m(1, dsml::kMarker);
  const std::string output = "Hi\n\n<" + m + " calls>\n<" + m + " invoke name=\"f\">\n<" + m +
                             " parameter name=\"a\" string=\"true\">x y</" + m + " parameter>\n</" + m +
                             " invoke>\n</" + m + " calls>";
  for (size_t cut = 0; cut <= output.size(); ++cut) {
    dsml::Parser parser(false, json::Value());
    std::vector<OutputEvent> events;
    const auto push = [&](std::string_view text) {
      for (size_t at = 0; at < text.size();) {
        const size_t marker = text.find(dsml::kMarker, at);
        if (marker != at) parser.push_text(text.substr(at, marker - at), events);
        if (marker == std::string_view::npos) return;
        parser.push_marker(Marker::kDsml, marker::kDsml, events);
        at = marker + 1;
      }
    };
    push(std::string_view(output).substr(0, cut));
    push(std::string_view(output).substr(cut));
    parser.finish(events);
    const Message& message = parser.message();
    EXPECT_EQ(message.text(), "Hi") << cut;
    ASSERT_EQ(message.tool_calls.size(), 1u) << cut;
    EXPECT_EQ(message.tool_calls[0].name, "f");
    EXPECT_EQ(message.tool_calls[0].arguments, R"({"a": "x y"})");
  }
}

}  // namespace
}  // namespace hadal::testing
