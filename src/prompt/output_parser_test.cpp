// The output parser on real token ids. What it does with markers and bytes is tested in dsml_parser_test.cpp.
#include "prompt/output_parser.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "prompt/markers.h"
#include "testing/golden.h"
#include "testing/tokenizers.h"
#include "testing/transcripts.h"

namespace hadal {
namespace {

using testing::joined;
using testing::Outcome;
using testing::violation;
using tokenizer::testing::tiny_tokenizer;

Outcome parsed(std::span<const TokenId> ids, bool starts_in_reasoning) {
  OutputParser parser(tiny_tokenizer(), PromptEncoding::kV4Preview, starts_in_reasoning);
  Outcome outcome;
  for (const TokenId id : ids) parser.push(id, outcome.events);
  parser.finish(outcome.events);
  EXPECT_TRUE(parser.is_done());
  outcome.message = parser.message();
  EXPECT_EQ(violation(outcome), "");
  return outcome;
}

std::vector<TokenId> ids_of(std::string_view transcript) {
  return tiny_tokenizer().encode(transcript, AddedTokens::kRecognise);
}

constexpr std::string_view kTranscript =
    "Càll 🙂.</think>ok\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"get_weather\">\n<｜DSML｜parameter "
    "name=\"city\" "
    "string=\"true\">Pa\"ris 你</｜DSML｜parameter>\n<｜DSML｜parameter name=\"days\" "
    "string=\"false\">2</｜DSML｜parameter>\n"
    "</｜DSML｜invoke>\n<｜DSML｜invoke name=\"now\">\n\n</｜DSML｜invoke>\n</｜DSML｜tool_calls><｜end▁of▁sentence｜>";

void expect_two_calls(const Outcome& outcome) {
  EXPECT_EQ(outcome.message.reasoning_content, "Càll 🙂.");
  EXPECT_EQ(outcome.message.text(), "ok");
  const std::vector<ToolCall> wanted = {
      {.id = "", .name = "get_weather", .arguments = R"({"city": "Pa\"ris 你", "days": 2})"},
      {.id = "", .name = "now", .arguments = "{}"}};
  EXPECT_EQ(outcome.message.tool_calls, wanted);
}

TEST(OutputParser, the_tokens_of_a_turn_give_reasoning_answer_and_calls) {
  expect_two_calls(parsed(ids_of(kTranscript), true));
}

TEST(OutputParser, any_other_tokens_for_the_same_text_give_the_same_outcome) {
  constexpr unsigned kSeed = 5;
  std::mt19937 random(kSeed);
  const Outcome whole = parsed(ids_of(kTranscript), true);
  for (int round = 0; round < 200; ++round) {
    std::vector<TokenId> ids;
    for (const testing::Symbol& piece : testing::cut(testing::symbols_of(kTranscript), 6, random)) {
      if (piece.is_marker) {
        ids.push_back(*tiny_tokenizer().added_token(piece.bytes));
      } else if (utf8::is_valid(piece.bytes)) {
        tiny_tokenizer().encode(piece.bytes, AddedTokens::kAsText, ids);
      } else {
        // Cut inside a character: the tokens of single bytes are those that spell it.
        for (const char c : piece.bytes) {
          for (TokenId id = 0; id < tiny_tokenizer().vocab_size(); ++id) {
            if (tiny_tokenizer().token_bytes(id) == std::string_view(&c, 1)) {
              ids.push_back(id);
              break;
            }
          }
        }
      }
    }
    const Outcome outcome = parsed(ids, true);
    ASSERT_EQ(outcome.message, whole.message) << "seed " << kSeed << " round " << round;
    ASSERT_EQ(joined(outcome.events), joined(whole.events)) << "seed " << kSeed << " round " << round;
  }
}

TEST(OutputParser, what_the_tiny_model_writes_is_understood) {
  const test::GoldenFile golden("v4-tiny/goldens.safetensors");
  const Outcome answer = parsed(golden.i32("tool_result.greedy"), true);
  EXPECT_EQ(answer.message.reasoning_content, "The tool says 21 degrees and sunny.");
  EXPECT_EQ(answer.message.text(), "In Paris it is 21 degrees and sunny.");

  // The golden stops inside the closing tag of the call.
  const Outcome call = parsed(golden.i32("tool.greedy"), false);
  EXPECT_EQ(call.message.text(), "");
  ASSERT_FALSE(call.events.empty());
  EXPECT_EQ(call.events.front().text, "get_weather");
  EXPECT_EQ(call.events.back().kind, OutputEvent::Kind::kCallBroken);
}

TEST(OutputParser, spelled_markers_are_text_and_markers_never_are) {
  const std::string spelled = "</think><｜DSML｜tool_calls><｜User｜><｜end▁of▁sentence｜>";
  const Outcome outcome = parsed(tiny_tokenizer().encode(spelled, AddedTokens::kAsText), false);
  EXPECT_EQ(outcome.message.text(), spelled);
  EXPECT_EQ(parsed(ids_of("a<｜title｜>b<｜fim▁hole｜>c<｜▁pad▁｜>"), false).message.text(), "abc");
}

TEST(OutputParser, eos_and_the_markers_of_other_parties_end_the_turn) {
  for (const char* marker : {"<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>",
                             "<｜latest_reminder｜>", "<|EOT|>"}) {
    OutputParser parser(tiny_tokenizer(), PromptEncoding::kV4Preview, false);
    std::vector<OutputEvent> events;
    for (const TokenId id : ids_of("yes 2 <" + std::string(marker))) parser.push(id, events);
    EXPECT_TRUE(parser.is_done()) << marker;
    for (const TokenId id : ids_of("more")) parser.push(id, events);
    parser.finish(events);
    EXPECT_EQ(parser.message().text(), "yes 2 <") << marker;
  }
}

TEST(OutputParser, it_knows_when_the_reasoning_is_over) {
  OutputParser parser(tiny_tokenizer(), PromptEncoding::kV4Preview, true);
  std::vector<OutputEvent> events;
  for (const TokenId id : ids_of("hm")) parser.push(id, events);
  EXPECT_TRUE(parser.in_reasoning());
  parser.push(*tiny_tokenizer().added_token("</think>"), events);
  EXPECT_FALSE(parser.in_reasoning());
  EXPECT_FALSE(parser.is_done());
}

TEST(OutputParser, ids_outside_the_vocabulary_are_nothing) {
  EXPECT_EQ(parsed(std::vector<TokenId>{-1, 1 << 30}, false).message.text(), "");
}

TEST(OutputParser, the_requests_tools_decide_what_is_a_wrapper) {
  const std::string transcript =
      "<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"input\" string=\"false\">{\"a\": 1}"
      "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>";
  Result<json::Value> tools = json::parse(
      R"([{"type":"function","function":{"name":"f","parameters":{"properties":{"input":{"type":"object"}}}}}])",
      "tools");
  ASSERT_TRUE(tools.ok());
  OutputParser parser(tiny_tokenizer(), PromptEncoding::kV4Preview, false, *tools);
  std::vector<OutputEvent> events;
  for (const TokenId id : ids_of(transcript)) parser.push(id, events);
  ASSERT_EQ(parser.message().tool_calls.size(), 1u);
  EXPECT_EQ(parser.message().tool_calls[0].arguments, R"({"input": {"a": 1}})");
  EXPECT_EQ(parsed(ids_of(transcript), false).message.tool_calls[0].arguments, R"({"a": 1})");
}

// --- the encodings before V4 ---

// Bytes, and the markers as added tokens.
Tokenizer tokenizer_with(std::vector<std::string_view> markers) {
  json::Value root = tokenizer::testing::small_tokenizer_json();
  int64_t id = 263;
  for (const std::string_view marker : markers) {
    tokenizer::testing::member(root, "added_tokens").push(tokenizer::testing::added_token(id++, marker, false));
  }
  return Tokenizer::parse(json::dump(root), "test").value();
}

Message parsed_by(const Tokenizer& tokenizer, PromptEncoding encoding, bool starts_in_reasoning,
                  std::string_view transcript) {
  OutputParser parser(tokenizer, encoding, starts_in_reasoning);
  Outcome outcome;
  for (const TokenId id : tokenizer.encode(transcript, AddedTokens::kRecognise)) parser.push(id, outcome.events);
  parser.finish(outcome.events);
  outcome.message = parser.message();
  EXPECT_EQ(violation(outcome), "") << transcript;
  return outcome.message;
}

TEST(OutputParser, the_tokens_of_a_turn_of_v31_and_r1) {
  const Tokenizer tokenizer =
      tokenizer_with({marker::kThink, marker::kEndThink, marker::kCallsBegin, marker::kCallsEnd, marker::kCallBegin,
                      marker::kCallEnd, marker::kCallSep, marker::kResultBegin, marker::kEos, marker::kUser});
  const std::vector<ToolCall> wanted = {{.id = "", .name = "f", .arguments = "{\"a\": \"é\"}"}};
  const Message v31 = parsed_by(tokenizer, PromptEncoding::kV31, true,
                                "Hm.</think>ok<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": \"é\"}"
                                "<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>");
  EXPECT_EQ(v31.reasoning_content, "Hm.");
  EXPECT_EQ(v31.text(), "ok");
  EXPECT_EQ(v31.tool_calls, wanted);
  const Message r1 =
      parsed_by(tokenizer, PromptEncoding::kR1Release0528, false,
                "<think>Hm.</think>ok<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n"
                "```json\n{\"a\": \"é\"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>");
  EXPECT_EQ(r1, v31);
  // What tools say is not the model's.
  EXPECT_EQ(parsed_by(tokenizer, PromptEncoding::kV3, false, "a<｜tool▁output▁begin｜>b").text(), "a");
}

TEST(OutputParser, a_marker_without_a_token_is_found_by_its_characters_where_the_encoding_needs_it) {
  const Tokenizer tokenizer = tokenizer_with({marker::kEos});
  const Message r1 = parsed_by(tokenizer, PromptEncoding::kR1, true, "Hm</thin.</think>2 <<｜end▁of▁sentence｜>");
  EXPECT_EQ(r1.reasoning_content, "Hm</thin.");
  EXPECT_EQ(r1.text(), "2 <");
  EXPECT_EQ(parsed_by(tokenizer, PromptEncoding::kV3, false, "a</think>b").text(), "a</think>b");
  const Message v32 = parsed_by(tokenizer, PromptEncoding::kV32, false,
                                "ok\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"f\">\n</｜DSML｜invoke>\n"
                                "</｜DSML｜function_calls>");
  EXPECT_EQ(v32.text(), "ok");
  ASSERT_EQ(v32.tool_calls.size(), 1u);
  EXPECT_EQ(v32.tool_calls[0].name, "f");
}

}  // namespace
}  // namespace hadal
