// Transcripts of the model and what becomes of them. In these texts every spelling of a marker is the marker itself.
#include "prompt/dsml_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/transcripts.h"

namespace hadal::dsml {
namespace {

using testing::joined;
using testing::Outcome;
using testing::parse;
using testing::Symbol;
using testing::symbols_of;
using testing::violation;

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Kind = OutputEvent::Kind;

constexpr bool kThinking = true;
constexpr bool kChat = false;

std::string calls_block(std::string_view invokes) {
  return "\n\n<｜DSML｜tool_calls>\n" + std::string(invokes) + "</｜DSML｜tool_calls>";
}

std::string parameter(std::string_view key, std::string_view is_string, std::string_view value) {
  return fmt::format("<｜DSML｜parameter name=\"{}\" string=\"{}\">{}</｜DSML｜parameter>\n", key, is_string, value);
}

std::string invoke(std::string_view name, std::string_view parameters) {
  return fmt::format("<｜DSML｜invoke name=\"{}\">\n{}</｜DSML｜invoke>\n", name, parameters);
}

constexpr std::string_view kEos = "<｜end▁of▁sentence｜>";

Outcome parsed(std::string_view transcript, bool starts_in_reasoning = kChat, const json::Value& tools = {}) {
  Outcome outcome = parse(Parser(starts_in_reasoning, tools), symbols_of(transcript));
  EXPECT_EQ(violation(outcome), "") << transcript;
  return outcome;
}

// Calls as "name arguments".
std::vector<std::string> calls(const Outcome& outcome) {
  std::vector<std::string> texts;
  for (const ToolCall& call : outcome.message.tool_calls) texts.push_back(call.name + " " + call.arguments);
  return texts;
}

// Broken calls as "index reason".
std::vector<std::string> broken(const Outcome& outcome) {
  std::vector<std::string> texts;
  for (const OutputEvent& event : outcome.events) {
    if (event.kind == Kind::kCallBroken) texts.push_back(fmt::format("{} {}", event.call_index, event.text));
  }
  return texts;
}

TEST(DsmlParser, example_15_gives_reasoning_and_two_calls) {
  for (const char* empty_line : {"", "\n"}) {
    const Outcome outcome = parsed(
        "Call.</think>" +
            calls_block(invoke("get_weather", parameter("city", "true", "Pa\"ris") + parameter("days", "false", "2")) +
                        invoke("now", empty_line)) +
            std::string(kEos),
        kThinking);
    EXPECT_EQ(outcome.message.reasoning_content, "Call.");
    EXPECT_THAT(outcome.message.content, IsEmpty());
    EXPECT_THAT(calls(outcome), ElementsAre(R"(get_weather {"city": "Pa\"ris", "days": 2})", "now {}"));
    EXPECT_THAT(broken(outcome), IsEmpty());
  }
}

TEST(DsmlParser, reasoning_and_answer_are_separated_by_the_marker) {
  const Outcome outcome = parsed("a < b\n\n</think>\n\nyes<｜end▁of▁sentence｜>ignored", kThinking);
  EXPECT_EQ(outcome.message.reasoning_content, "a < b\n\n");
  EXPECT_EQ(outcome.message.text(), "\n\nyes");
}

TEST(DsmlParser, output_without_the_end_of_thinking_is_all_reasoning) {
  const Outcome outcome = parsed("No think close<｜end▁of▁sentence｜>", kThinking);
  EXPECT_EQ(outcome.message.reasoning_content, "No think close");
  EXPECT_EQ(outcome.message.text(), "");
}

TEST(DsmlParser, a_model_that_opens_its_own_reasoning_is_understood) {
  const Outcome outcome = parsed("<think>hm</think>yes", kChat);
  EXPECT_EQ(outcome.message.reasoning_content, "hm");
  EXPECT_EQ(outcome.message.text(), "yes");
  EXPECT_EQ(parsed("<think>hm</think>yes", kThinking).message, outcome.message);
  EXPECT_EQ(parsed("</think>yes", kChat).message.text(), "yes");
}

TEST(DsmlParser, held_text_comes_out_at_the_end) {
  for (const char* text : {"2 <", "2 </", "x\n", "x\n\n", "x\n\n<", "x\n\n</｜", "<", "\n\n\n<｜"}) {
    EXPECT_EQ(parsed(text).message.text(), text);
    EXPECT_EQ(parsed(std::string(text) + std::string(kEos)).message.text(), text);
    EXPECT_EQ(parsed(text, kThinking).message.reasoning_content, text);
    EXPECT_EQ(parsed(std::string(text) + "</think>", kThinking).message.reasoning_content, text);
  }
}

TEST(DsmlParser, only_the_two_line_feeds_before_a_block_belong_to_it) {
  const std::string block = calls_block(invoke("f", ""));
  EXPECT_EQ(parsed("ok" + block).message.text(), "ok");
  EXPECT_EQ(parsed("ok\n" + block).message.text(), "ok\n");
  EXPECT_EQ(parsed("ok\n" + block.substr(2)).message.text(), "ok");
  EXPECT_EQ(parsed("ok " + block.substr(2)).message.text(), "ok ");
  EXPECT_THAT(calls(parsed("ok" + block.substr(2))), ElementsAre("f {}"));
}

TEST(DsmlParser, markup_in_ordinary_characters_is_content) {
  const std::string text =
      "The model writes <｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"rm\">\n</｜DSML｜invoke> then </think>.";
  const Outcome outcome = parse(Parser(kChat, {}), {{.is_marker = false, .marker = {}, .bytes = text}});
  EXPECT_EQ(violation(outcome), "");
  EXPECT_EQ(outcome.message.text(), text);
  EXPECT_THAT(calls(outcome), IsEmpty());
}

TEST(DsmlParser, values_may_hold_anything_but_their_closing_tag) {
  const std::string value =
      "</tool_calls>\n<｜DSML｜invoke name=\"x\">\n</｜DSML｜invoke> <think></think><｜User｜> a < b </";
  const Outcome outcome = parsed(calls_block(invoke("write", parameter("text", "true", value))));
  ASSERT_EQ(outcome.message.tool_calls.size(), 1u);
  const Result<json::Value> arguments = json::parse(outcome.message.tool_calls[0].arguments, "arguments");
  ASSERT_TRUE(arguments.ok());
  EXPECT_EQ(arguments->find("text")->as_string(), value);
}

TEST(DsmlParser, a_block_inside_the_reasoning_is_a_call_and_the_reasoning_goes_on) {
  const std::string block = calls_block(invoke("f", parameter("a", "false", "1")));
  Outcome outcome = parsed("Let me call." + block + std::string(kEos), kThinking);
  EXPECT_EQ(outcome.message.reasoning_content, "Let me call.");
  EXPECT_THAT(calls(outcome), ElementsAre(R"(f {"a": 1})"));

  outcome = parsed("a" + block + " b</think>answer", kThinking);
  EXPECT_EQ(outcome.message.reasoning_content, "a b");
  EXPECT_EQ(outcome.message.text(), "answer");
  EXPECT_THAT(calls(outcome), ElementsAre(R"(f {"a": 1})"));
}

TEST(DsmlParser, the_end_of_thinking_ends_a_block_that_was_left_open_in_it) {
  const Outcome outcome = parsed(
      "a\n\n<｜DSML｜tool_calls>\n" + invoke("f", "") + "<｜DSML｜invoke name=\"g\">\n</think>answer", kThinking);
  EXPECT_EQ(outcome.message.text(), "answer");
  EXPECT_THAT(calls(outcome), ElementsAre("f {}"));
  EXPECT_THAT(broken(outcome), ElementsAre("1 output ended inside the call"));
}

TEST(DsmlParser, text_behind_the_calls_is_not_part_of_the_turn) {
  const Outcome outcome = parsed("ok" + calls_block(invoke("f", "")) + "\nThe tool says 7.");
  EXPECT_EQ(outcome.message.text(), "ok");
  EXPECT_THAT(calls(outcome), ElementsAre("f {}"));
}

TEST(DsmlParser, several_blocks_are_read_as_one) {
  EXPECT_THAT(calls(parsed(calls_block(invoke("f", "")) + calls_block(invoke("g", "")))), ElementsAre("f {}", "g {}"));
}

TEST(DsmlParser, a_bare_call_without_a_block_is_a_call) {
  const Outcome outcome = parsed("ok\n\n" + invoke("f", parameter("a", "true", "b")));
  EXPECT_EQ(outcome.message.text(), "ok");
  EXPECT_THAT(calls(outcome), ElementsAre(R"(f {"a": "b"})"));
}

TEST(DsmlParser, more_bars_around_the_marker_are_forgiven) {
  const Outcome outcome = parsed(
      "<｜｜DSML｜｜tool_calls>\n<｜｜DSML｜｜invoke name=\"f\">\n<｜｜DSML｜｜parameter name=\"a\" string=\"true\">b"
      "</｜｜DSML｜｜parameter>\n</｜｜DSML｜｜invoke>\n</｜｜DSML｜｜tool_calls>");
  EXPECT_THAT(calls(outcome), ElementsAre(R"(f {"a": "b"})"));
  EXPECT_EQ(outcome.message.text(), "");
}

TEST(DsmlParser, a_call_that_is_not_closed_ends_where_the_next_one_or_the_end_of_the_block_begins) {
  const Outcome outcome = parsed("<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n" + parameter("a", "false", "1") +
                                 "<｜DSML｜invoke name=\"g\">\n</｜DSML｜tool_calls>");
  EXPECT_THAT(calls(outcome), ElementsAre(R"(f {"a": 1})", "g {}"));
  EXPECT_THAT(broken(outcome), IsEmpty());
}

TEST(DsmlParser, a_broken_call_is_reported_and_its_siblings_are_kept) {
  const std::string good = invoke("good", parameter("a", "false", "1"));
  struct Row {
    std::string bad;
    const char* reported;
  };
  for (const Row& row : {
           Row{invoke("bad", parameter("a", "false", "True")), "1 parameter \"a\" is neither a string nor JSON"},
           Row{invoke("bad", parameter("a", "true", "1") + parameter("a", "true", "2")),
               "1 parameter \"a\" comes twice"},
           Row{invoke("bad", "{\"a\": 1}"), "1 text in the place of a parameter"},
           Row{invoke("bad", "<｜DSML｜parameter name=\"a\">1</｜DSML｜parameter>\n"),
               "1 malformed tag in the place of a parameter"},
           Row{invoke("bad", "<｜DSML｜argument name=\"a\">"), "1 malformed tag in the place of a parameter"},
           Row{invoke("", ""), "-1 call without a name"},
           Row{"<｜DSML｜invoke>\n" + parameter("a", "true", "b") + "</｜DSML｜invoke>\n",
               "-1 malformed tag in the place of a call"},
           Row{parameter("a", "true", "b"), "-1 parameter outside of a call"},
       }) {
    const Outcome outcome = parsed("ok" + calls_block(good + row.bad + good));
    EXPECT_THAT(calls(outcome), ElementsAre(R"(good {"a": 1})", R"(good {"a": 1})")) << row.bad;
    EXPECT_THAT(broken(outcome), ElementsAre(row.reported)) << row.bad;
    EXPECT_EQ(outcome.message.text(), "ok") << row.bad;
  }
}

TEST(DsmlParser, output_that_ends_anywhere_inside_the_calls_keeps_those_that_are_complete) {
  const std::string first = "ok\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f\">\n</｜DSML｜invoke>\n";
  const std::string second = "<｜DSML｜invoke name=\"g\">\n" + parameter("b", "true", "x") +
                             parameter("c", "false", "[2]") + "</｜DSML｜invoke";
  std::mt19937 random(1);
  const std::vector<Symbol> bytes = cut(symbols_of(first + second), 1, random);
  std::vector<Symbol> output = symbols_of(first);
  size_t n = cut(output, 1, random).size();
  for (; n < bytes.size(); ++n) {
    const Outcome outcome = parse(Parser(kChat, {}), {bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(n)});
    EXPECT_EQ(violation(outcome), "") << n;
    EXPECT_EQ(outcome.message.text(), "ok") << n;
    EXPECT_THAT(calls(outcome), ElementsAre("f {}")) << n;
    EXPECT_LE(broken(outcome).size(), 1u) << n;
  }
}

TEST(DsmlParser, stray_markup_in_the_answer_vanishes_and_the_text_around_it_stays) {
  EXPECT_EQ(parsed("a</｜DSML｜tool_calls>b").message.text(), "ab");
  EXPECT_EQ(parsed("a</｜DSML｜parameter>b").message.text(), "ab");
  EXPECT_EQ(parsed("the ｜DSML｜ marker").message.text(), "the  marker");
  EXPECT_EQ(parsed("a\n\n<｜DSML｜thing>").message.text(), "a\n\nthing>");
  EXPECT_EQ(parsed("a<｜fim▁hole｜>b").message.text(), "ab");
}

TEST(DsmlParser, a_tag_that_the_end_cuts_off_is_reported_and_does_not_leak) {
  for (const char* tag : {"<｜DSML｜", "<｜DSML｜tool_ca", "<｜DSML｜invoke name=\"f"}) {
    const Outcome outcome = parsed("ok\n\n" + std::string(tag));
    EXPECT_EQ(outcome.message.text(), "ok") << tag;
    EXPECT_THAT(broken(outcome), ElementsAre("-1 output ended inside the first tag of a call")) << tag;
  }
}

TEST(DsmlParser, another_partys_turn_ends_the_output) {
  EXPECT_EQ(parsed("yes<｜User｜>and then?").message.text(), "yes");
  const Outcome outcome =
      parsed("\n\n<｜DSML｜tool_calls>\n" + invoke("f", "") + "<｜DSML｜invoke name=\"g\">\n<｜User｜>");
  EXPECT_THAT(calls(outcome), ElementsAre("f {}"));
  EXPECT_THAT(broken(outcome), ElementsAre("1 output ended inside the call"));
}

TEST(DsmlParser, a_wrapper_is_taken_apart_unless_the_tool_has_a_parameter_of_that_name) {
  const std::string block = calls_block(invoke("f", parameter("input", "true", "{\"a\": 1}")));
  EXPECT_THAT(calls(parsed(block)), ElementsAre(R"(f {"a": 1})"));

  const auto tools = [](std::string_view properties) {
    Result<json::Value> list = json::parse(
        R"([{"type":"function","function":{"name":"f","parameters":{"properties":)" + std::string(properties) + "}}}]",
        "tools");
    EXPECT_TRUE(list.ok());
    return *std::move(list);
  };
  EXPECT_THAT(calls(parsed(block, kChat, tools("{\"input\":{}}"))), ElementsAre(R"(f {"input": "{\"a\": 1}"})"));
  EXPECT_THAT(calls(parsed(block, kChat, tools("{\"a\":{}}"))), ElementsAre(R"(f {"a": 1})"));
}

TEST(DsmlParser, string_values_arrive_as_they_are_written_and_calls_begin_with_their_names) {
  Parser parser(kChat, {});
  std::vector<OutputEvent> events;
  const auto push = [&](std::string_view transcript) {
    events.clear();
    for (const Symbol& symbol : symbols_of(transcript)) {
      if (symbol.is_marker) {
        parser.push_marker(symbol.marker, symbol.bytes, events);
      } else {
        parser.push_text(symbol.bytes, events);
      }
    }
    return joined(events);
  };
  using Event = OutputEvent;
  EXPECT_THAT(push("ok\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"f"),
              ElementsAre(Event{.kind = Kind::kContent, .text = "ok", .call_index = -1}));
  EXPECT_THAT(push("\">"), ElementsAre(Event{.kind = Kind::kCallBegin, .text = "f", .call_index = 0}));
  EXPECT_THAT(push("\n<｜DSML｜parameter name=\"p\" string=\"true\">"),
              ElementsAre(Event{.kind = Kind::kCallArguments, .text = "{\"p\": \"", .call_index = 0}));
  EXPECT_THAT(push("a\n\xC3"), ElementsAre(Event{.kind = Kind::kCallArguments, .text = "a\\n", .call_index = 0}));
  EXPECT_THAT(push("\xA9 <"), ElementsAre(Event{.kind = Kind::kCallArguments, .text = "é ", .call_index = 0}));
  EXPECT_THAT(push("/"), IsEmpty());
  EXPECT_THAT(push("p>"), ElementsAre(Event{.kind = Kind::kCallArguments, .text = "</p>", .call_index = 0}));
  EXPECT_THAT(push("</｜DSML｜parameter>"), IsEmpty());
  EXPECT_THAT(push("\n</｜DSML｜invoke>"),
              ElementsAre(Event{.kind = Kind::kCallArguments, .text = "\"}", .call_index = 0},
                          Event{.kind = Kind::kCallEnd, .text = "", .call_index = 0}));
}

TEST(DsmlParser, bytes_that_are_no_utf8_become_replacement_characters_everywhere) {
  EXPECT_EQ(parsed("a\xFFz\xE4\xB8").message.text(), "a\uFFFDz\uFFFD");
  EXPECT_THAT(calls(parsed(calls_block(invoke("f", parameter("a", "true", "x\xF0\x9F"))))),
              ElementsAre("f {\"a\": \"x\uFFFD\"}"));
}

}  // namespace
}  // namespace hadal::dsml
