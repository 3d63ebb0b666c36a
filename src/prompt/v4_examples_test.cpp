// The worked examples of V4's encoding: made with the release's encoder, given as length in bytes and the first 16 hex
// digits of SHA-256. Those that are short stand here in full.
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "base/io.h"
#include "prompt/prompt_encoding.h"
#include "testing/conversations.h"

namespace hadal::testing {
namespace {

void expect_text(const Prompt& prompt, size_t bytes, std::string_view hash) {
  const std::string text = prompt.text();
  EXPECT_EQ(text.size(), bytes) << text;
  EXPECT_EQ(hash_prefix(text), hash) << text;
}

// Where the preview and the 0731 release agree, both are rendered.
void expect_both(std::string_view messages, PromptOptions options, size_t bytes, std::string_view hash) {
  for (const PromptEncoding encoding : {PromptEncoding::kV4Preview, PromptEncoding::kV4Release0731}) {
    options.encoding = encoding;
    expect_text(rendered(messages, options), bytes, hash);
  }
}

constexpr std::string_view kSystemAndUser =
    R"([{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"What is 2+2?"}])";
constexpr std::string_view kThreeTurns =
    R"([{"role":"user","content":"Hi"},{"role":"assistant","reasoning_content":"Greet.","content":"Hello!"},)"
    R"({"role":"user","content":"Bye"}])";

TEST(V4Examples, system_and_user) {
  EXPECT_EQ(rendered(kSystemAndUser, kChatMode).text(),
            "<｜begin▁of▁sentence｜>You are a helpful assistant.<｜User｜>What is 2+2?<｜Assistant｜></think>");
  expect_both(kSystemAndUser, kChatMode, 106, "f457fe75245b0f28");
  expect_both(kSystemAndUser, kThinkingMode, 105, "66043ad4425c2d01");
}

TEST(V4Examples, several_turns_with_reasoning_dropped_kept_missing_and_off) {
  expect_both(kThreeTurns, kThinkingMode, 140, "ede455bb4021bce4");
  expect_both(kThreeTurns, kThinkingKept, 153, "9ef19126b94e71f5");
  expect_both(
      R"([{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello!"},{"role":"user","content":"Bye"}])",
      kThinkingKept, 147, "185351b0c533c27c");
  expect_both(kThreeTurns, kChatMode, 141, "7f0ecab03e0dcb1d");
}

TEST(V4Examples, two_calls_with_results_in_the_wrong_order) {
  expect_both(two_calls(), kThinkingMode, 1814, "478b4ea1cecc874f");
}

TEST(V4Examples, all_reasoning_is_kept_when_tools_are_declared) {
  const std::string more = R"(,{"role":"assistant","reasoning_content":"Both known.","content":"Paris 20, Rome 30."},)"
                           R"({"role":"user","content":"Thanks"})";
  expect_both(two_calls(more), kThinkingMode, 1920, "600e8c44fba6c01f");
}

TEST(V4Examples, tool_history_without_declared_tools_loses_its_reasoning) {
  expect_both(
      R"json([{"role":"user","content":"now?"},{"role":"assistant","reasoning_content":"Use tool.","content":"",)json"
      R"json("tool_calls":[{"id":"a","type":"function","function":{"name":"now",)json"
      R"json("arguments":"{\"tz\": \"Z\", \"n\": null, \"f\": 1.50, \"l\": [1, \"é\"]}"}}]},)json"
      R"json({"role":"tool","tool_call_id":"a","content":"12:00"}])json",
      kThinkingMode, 552, "6affe5427a52237c");
}

TEST(V4Examples, reminder_before_and_after_the_user_message) {
  const Prompt before = rendered(R"([{"role":"latest_reminder","content":"2026-11-23,Monday"},)"
                                 R"({"role":"user","content":"Search news","task":"action"}])",
                                 kChatMode);
  EXPECT_EQ(before.text(),
            "<｜begin▁of▁sentence｜><｜latest_reminder｜>2026-11-23,Monday<｜User｜>Search news<｜Assistant｜></think>"
            "<｜action｜>");
  expect_text(before, 131, "2d57afacf2859a27");
  expect_both(R"([{"role":"user","content":"Search news"},{"role":"latest_reminder","content":"2026-11-23,Monday"}])",
              kChatMode, 117, "a1fd7ff213c20acd");
}

TEST(V4Examples, title_task) {
  expect_both(R"([{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello!","task":"title"}])", kChatMode,
              114, "55e11fcf5d108272");
}

TEST(V4Examples, response_format) {
  expect_both(R"([{"role":"system","content":"","response_format":{"type":"json_object"}},)"
              R"({"role":"user","content":"Give JSON"}])",
              kChatMode, 180, "a162a589cbf37eed");
}

TEST(V4Examples, effort_in_both_generations) {
  constexpr std::string_view kSolve = R"([{"role":"user","content":"Solve."}])";
  struct Row {
    PromptEncoding encoding;
    ReasoningEffort effort;
    size_t bytes;
    std::string_view hash;
  };
  constexpr auto kPreview = PromptEncoding::kV4Preview;
  constexpr auto kLater = PromptEncoding::kV4Release0731;
  for (const Row& row : {
           Row{kPreview, ReasoningEffort::kNone, 71, "90e4c363c68cd5ec"},
           Row{kLater, ReasoningEffort::kNone, 71, "90e4c363c68cd5ec"},
           Row{kLater, ReasoningEffort::kLow, 71, "90e4c363c68cd5ec"},
           Row{kPreview, ReasoningEffort::kHigh, 71, "90e4c363c68cd5ec"},
           Row{kLater, ReasoningEffort::kHigh, 547, "172f8315fa3305f3"},
           Row{kPreview, ReasoningEffort::kMax, 547, "172f8315fa3305f3"},
           Row{kLater, ReasoningEffort::kMax, 599, "c69b1589da6ee4e2"},
       }) {
    PromptOptions options = kThinkingMode;
    options.encoding = row.encoding;
    options.effort = row.effort;
    expect_text(rendered(kSolve, options), row.bytes, row.hash);
    // Without thinking, effort says nothing.
    options.thinking = ThinkingMode::kChat;
    EXPECT_EQ(rendered(kSolve, options).text(), "<｜begin▁of▁sentence｜><｜User｜>Solve.<｜Assistant｜></think>");
  }
}

TEST(V4Examples, merged_users_and_a_partial_answer) {
  expect_both(R"([{"role":"user","content":"Say A"},{"role":"user","content":"and B"}])", kChatMode, 78,
              "a33fce38c84435ec");
  expect_both(R"([{"role":"user","content":"Write"},{"role":"assistant","content":"Once upon","wo_eos":true}])",
              kChatMode, 80, "4232c0b3fecb991a");
}

TEST(V4Examples, no_parameters_a_list_as_tool_output_and_user_text_after_it) {
  expect_both(
      R"([{"role":"user","content":"now?"},{"role":"assistant","content":"","tool_calls":[{"function":{"name":"now",)"
      R"("arguments":"{}"}}]},{"role":"tool","content":[{"type":"text","text":"12:00"},{"type":"image"}]},)"
      R"({"role":"user","content":"ok"}])",
      kChatMode, 290, "bbcfe24b7c18ff53");
}

TEST(V4Examples, an_earlier_developer_message_is_dropped_in_thinking_mode) {
  expect_both(
      R"([{"role":"system","content":"S"},{"role":"developer","content":"Old q"},{"role":"assistant","content":"A1"},)"
      R"({"role":"user","content":"New q"}])",
      kThinkingMode, 100, "639a78c131b1bd07");
}

TEST(V4Examples, arguments_that_are_no_json) {
  expect_both(
      R"([{"role":"user","content":"x"},{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f",)"
      R"("arguments":"not json"}}]},{"role":"tool","content":"r"}])",
      kChatMode, 338, "9ec8caa4ab5b7698");
}

// 200 made-up conversations (roles in any order, odd ids, broken arguments) and what the rules of the release's
// encoder, run in Python, make of them.
TEST(V4Examples, made_up_conversations_render_as_in_python) {
  Result<std::string> file =
      read_file(fs::path(HADAL_SOURCE_DIR) / "tests/data/prompt/v4_conversations.jsonl", 1 << 20);
  ASSERT_TRUE(file.ok()) << file.error().to_string();
  std::istringstream lines(*file);
  int n_lines = 0;
  for (std::string line; std::getline(lines, line); ++n_lines) {
    Result<json::Value> given = json::parse(line, "line");
    ASSERT_TRUE(given.ok()) << given.error().to_string();
    PromptOptions options = given->find("thinking")->as_bool() ? kThinkingMode : kChatMode;
    options.drop_thinking = given->find("drop_thinking")->as_bool();
    if (given->find("max_effort")->as_bool()) options.effort = ReasoningEffort::kMax;
    const std::string text = rendered(json::dump(*given->find("messages")), options).text();
    ASSERT_EQ(static_cast<int64_t>(text.size()), given->find("bytes")->as_int()) << line << "\n" << text;
    ASSERT_EQ(hash_prefix(text), given->find("sha256")->as_string()) << line << "\n" << text;
  }
  EXPECT_EQ(n_lines, 200);
}

}  // namespace
}  // namespace hadal::testing
