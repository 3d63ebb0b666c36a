// Transcripts of V3, R1 and V3.1 and what becomes of them. In these texts every spelling of a marker is the marker.
#include "prompt/tool_token_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/transcripts.h"

namespace hadal::tool_tokens {
namespace {

using testing::cut;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::joined;
using testing::Outcome;
using testing::Symbol;
using testing::symbols_of;
using testing::violation;
using Kind = OutputEvent::Kind;

constexpr bool kThinking = true;
constexpr bool kChat = false;

Outcome parse(const std::vector<Symbol>& symbols, bool starts_in_reasoning) {
  return testing::parse(Parser(starts_in_reasoning), symbols);
}

Outcome parsed(std::string_view transcript, bool starts_in_reasoning = kChat) {
  Outcome outcome = parse(symbols_of(transcript), starts_in_reasoning);
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

// As V3.1 writes a call, and as V3 and R1 do.
std::string bare(std::string_view name, std::string_view arguments) {
  return fmt::format("<｜tool▁call▁begin｜>{}<｜tool▁sep｜>{}<｜tool▁call▁end｜>", name, arguments);
}
std::string fenced(std::string_view name, std::string_view arguments) {
  return fmt::format("<｜tool▁call▁begin｜>function<｜tool▁sep｜>{}\n```json\n{}\n```<｜tool▁call▁end｜>", name,
                     arguments);
}
std::string block(std::string_view inside) {
  return fmt::format("<｜tool▁calls▁begin｜>{}<｜tool▁calls▁end｜>", inside);
}
constexpr std::string_view kEos = "<｜end▁of▁sentence｜>";

TEST(ToolTokenParser, a_turn_of_r1_gives_reasoning_answer_and_calls) {
  const Outcome outcome = parsed(
      "Hm.\n</think>\n\nLook." +
          block(fenced("get_weather", "{\"city\": \"Pa\\\"ris\"}") + "\n" + fenced("now", "{}")) + std::string(kEos),
      kThinking);
  EXPECT_EQ(outcome.message.reasoning_content, "Hm.\n");
  EXPECT_EQ(outcome.message.text(), "\n\nLook.");
  EXPECT_THAT(calls(outcome), ElementsAre("get_weather {\"city\": \"Pa\\\"ris\"}", "now {}"));
  EXPECT_THAT(broken(outcome), IsEmpty());
}

TEST(ToolTokenParser, a_turn_of_v31_gives_the_same) {
  const Outcome outcome =
      parsed("Look." + block(bare("get_weather", "{\"days\": [1, {\"a\": 2}]}") + bare("now", "{}")));
  EXPECT_EQ(outcome.message.text(), "Look.");
  EXPECT_THAT(calls(outcome), ElementsAre("get_weather {\"days\": [1, {\"a\": 2}]}", "now {}"));
}

TEST(ToolTokenParser, a_model_may_open_its_reasoning_itself) {
  const Outcome outcome = parsed("<think>\nHm.\n</think>Yes.");
  EXPECT_EQ(outcome.message.reasoning_content, "\nHm.\n");
  EXPECT_EQ(outcome.message.text(), "Yes.");
}

TEST(ToolTokenParser, each_generation_may_write_the_others_form) {
  const std::vector<std::string> wanted = {"f {\"a\": 1}"};
  for (const std::string& call : {
           bare("f", "{\"a\": 1}"),
           fenced("f", "{\"a\": 1}"),
           bare(" f\n", "\n {\"a\": 1} \n"),
           bare("f", "```json\n{\"a\": 1}\n```"),
           bare("f", "```\n{\"a\": 1}```"),
           bare("function", "f\n{\"a\": 1}"),
           bare("function", "f{\"a\": 1}"),
       }) {
    EXPECT_EQ(calls(parsed(block(call))), wanted) << call;
    EXPECT_EQ(calls(parsed(call)), wanted) << "without a block: " << call;
  }
}

TEST(ToolTokenParser, a_call_without_arguments_has_none) {
  EXPECT_THAT(calls(parsed(block(bare("now", "") + bare("function", "\n```json\n\n```")))),
              ElementsAre("now {}", "function {}"));
}

TEST(ToolTokenParser, arguments_are_told_while_they_arrive_and_never_cut_inside_an_escape) {
  Parser parser(kChat);
  std::vector<OutputEvent> events;
  const auto told = [&](std::string_view text) {
    events.clear();
    parser.push_text(text, events);
    std::string all;
    for (const OutputEvent& event : events) all += event.text;
    return all;
  };
  parser.push_marker(Marker::kCallBegin, "", events);
  EXPECT_EQ(told("f"), "");
  parser.push_marker(Marker::kCallSep, "", events);
  EXPECT_EQ(told("{\"a\": \"x"), "f{\"a\": \"x");
  EXPECT_EQ(told("y\\"), "y");
  EXPECT_EQ(told("u00e"), "");
  EXPECT_EQ(told("9\\\\"), "\\u00e9\\\\");
  EXPECT_EQ(told("}{\xE4\xBD"), "}{");
  EXPECT_EQ(told("\xA0\"}```"), "你\"}");
  EXPECT_EQ(parser.message().tool_calls.size(), 1u);
}

TEST(ToolTokenParser, markers_inside_arguments_are_their_text) {
  EXPECT_THAT(calls(parsed(block(bare("write", "{\"text\": \"<think><｜User｜></think><｜fim▁hole｜>\"}")))),
              ElementsAre("write {\"text\": \"<think><｜User｜></think><｜fim▁hole｜>\"}"));
}

TEST(ToolTokenParser, a_broken_call_takes_no_sibling_with_it) {
  const Outcome outcome = parsed(
      block(bare("bad", "{nope}") + bare("", "{}") + bare("list", "[1]") + bare("two\nlines", "{}") +
            "<｜tool▁call▁begin｜>no separator<｜tool▁call▁end｜>" + bare("open", "{\"a\": ") + bare("good", "{}")));
  EXPECT_THAT(calls(outcome), ElementsAre("good {}"));
  EXPECT_THAT(broken(outcome),
              ElementsAre("0 arguments are no JSON object", "-1 call without a name", "-1 call without arguments",
                          "-1 call without a name", "-1 call without arguments", "1 arguments are not complete"));
}

TEST(ToolTokenParser, a_key_that_comes_twice_breaks_its_call) {
  EXPECT_THAT(calls(parsed(block(bare("f", "{\"a\": 1, \"a\": 2}")))), IsEmpty());
}

TEST(ToolTokenParser, a_name_without_end_breaks_its_call) {
  const std::string endless(kCallHeadBytesMax + 1, 'x');
  EXPECT_THAT(broken(parsed(block(bare(endless, "{}")))), ElementsAre("-1 name of the tool is too long"));
  EXPECT_THAT(broken(parsed(block(bare("f", endless)))), ElementsAre("-1 name of the tool is too long"));
}

TEST(ToolTokenParser, output_that_ends_early_keeps_what_is_complete) {
  const std::string first = "<｜tool▁calls▁begin｜>" + bare("f", "{}");
  EXPECT_THAT(calls(parsed(first)), ElementsAre("f {}"));
  EXPECT_THAT(calls(parsed("<｜tool▁call▁begin｜>f<｜tool▁sep｜>{}")), ElementsAre("f {}"));
  for (const char* rest : {"<｜tool▁call▁begin｜>", "<｜tool▁call▁begin｜>g", "<｜tool▁call▁begin｜>g<｜tool▁sep｜>",
                           "<｜tool▁call▁begin｜>g<｜tool▁sep｜>{\"a", "<｜tool▁call▁begin｜>g<｜tool▁sep｜>{\"a\\"}) {
    for (const std::string_view end : {std::string_view(), kEos}) {
      const Outcome outcome = parsed(first + rest + std::string(end));
      EXPECT_THAT(calls(outcome), ElementsAre("f {}")) << rest;
      EXPECT_EQ(broken(outcome).size(), 1u) << rest;
    }
  }
}

TEST(ToolTokenParser, a_block_inside_the_reasoning) {
  const Outcome outcome = parsed("a" + block(bare("f", "{}")) + "b</think>c", kThinking);
  EXPECT_EQ(outcome.message.reasoning_content, "ab");
  EXPECT_EQ(outcome.message.text(), "c");
  EXPECT_THAT(calls(outcome), ElementsAre("f {}"));
  const Outcome open = parsed("a<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f</think>c", kThinking);
  EXPECT_EQ(open.message.text(), "c");
  EXPECT_THAT(broken(open), ElementsAre("-1 call without arguments"));
}

TEST(ToolTokenParser, text_behind_the_calls_is_no_part_of_the_turn) {
  const Outcome outcome = parsed(block(bare("f", "{}")) + "made up" + block(bare("g", "{}")));
  EXPECT_EQ(outcome.message.text(), "");
  EXPECT_THAT(calls(outcome), ElementsAre("f {}", "g {}"));
}

TEST(ToolTokenParser, what_tools_or_users_say_ends_the_turn) {
  for (const char* marker : {"<｜tool▁output▁begin｜>", "<｜User｜>", "<｜end▁of▁sentence｜>"}) {
    EXPECT_EQ(parsed(std::string("a") + marker + "b").message.text(), "a") << marker;
  }
}

TEST(ToolTokenParser, stray_markers_vanish_and_the_text_around_them_stays) {
  EXPECT_EQ(parsed("a<｜tool▁call▁end｜>b<｜tool▁sep｜>c<｜tool▁calls▁end｜>d<｜fim▁hole｜>e").message.text(), "abcde");
}

// --- properties ---

const std::vector<std::string> kTranscripts = {
    "Hm.</think>Ünïcode 你好 🙂" +
        block(fenced("写", "{\"täxt\": \"\\u00e9\\\\🙂\\\"}{\", \"n\": [1, {}]}") + "\n" + fenced("now", "{}")) +
        std::string(kEos),
    "x" + block(bare("f", "{\"a\": \"<｜User｜>\", \"b\": {\"c\": [[]]}}") + bare("g", "") + bare("bad", "{\\}")) +
        "tail",
    "<think>a</think>b<think>c" + block(bare("f", "```json\n{ }\n```")) + "d</think>e<｜tool▁output▁begin｜>f",
    block(bare("cut", "{\"a\": \"\\ud83d\\ude00") + "<｜tool▁call▁begin｜>function<｜tool▁sep｜>h\n```js"),
};

void expect_same(const Outcome& whole, const Outcome& pieces, const std::string& where) {
  EXPECT_EQ(violation(pieces), "") << where;
  EXPECT_EQ(pieces.message, whole.message) << where;
  EXPECT_EQ(joined(pieces.events), joined(whole.events)) << where;
}

TEST(ToolTokenProperties, any_cut_gives_the_outcome_of_the_whole) {
  constexpr unsigned kSeed = 20261123;
  std::mt19937 random(kSeed);
  for (const std::string& transcript : kTranscripts) {
    for (const bool starts_in_reasoning : {false, true}) {
      const std::vector<Symbol> symbols = symbols_of(transcript);
      const Outcome whole = parse(symbols, starts_in_reasoning);
      ASSERT_EQ(violation(whole), "") << transcript;
      expect_same(whole, parse(cut(symbols, 1, random), starts_in_reasoning), transcript + " by bytes");
      for (int round = 0; round < 100; ++round) {
        const size_t piece_bytes_max = 2 + static_cast<size_t>(round) % 12;
        expect_same(whole, parse(cut(symbols, piece_bytes_max, random), starts_in_reasoning),
                    fmt::format("{} seed {} round {}", transcript, kSeed, round));
      }
    }
  }
}

TEST(ToolTokenProperties, whatever_the_model_writes_the_events_keep_their_promises) {
  constexpr unsigned kSeed = 7;
  std::mt19937 random(kSeed);
  static const std::vector<std::string> kWords = {
      "\n", "```json\n", "\n```", "{",    "}",        "{\"a\": ", "\"",       "\\",   "u00",
      "[]", "1",         ",",     "text", "function", "\xE4",     "\xBD\xA0", "\xFF", "é"};
  std::uniform_int_distribution<size_t> word(0, kWords.size() - 1);
  std::uniform_int_distribution<size_t> marker(0, testing::kMarkers.size() - 1);
  std::uniform_int_distribution<int> percent(0, 99);
  for (int round = 0; round < 20000; ++round) {
    std::vector<Symbol> symbols;
    const int n = 5 + percent(random);
    for (int i = 0; i < n; ++i) {
      if (percent(random) < 40) {
        const auto& [spelling, kind] = testing::kMarkers[marker(random)];
        symbols.push_back({.is_marker = true, .marker = kind, .bytes = std::string(spelling)});
      } else {
        symbols.push_back({.is_marker = false, .marker = {}, .bytes = kWords[word(random)]});
      }
    }
    const bool starts_in_reasoning = round % 2 == 1;
    const Outcome whole = parse(symbols, starts_in_reasoning);
    ASSERT_EQ(violation(whole), "") << "seed " << kSeed << " round " << round;
    expect_same(whole, parse(cut(symbols, 3, random), starts_in_reasoning),
                fmt::format("seed {} round {}", kSeed, round));
    ASSERT_FALSE(HasFailure()) << "seed " << kSeed << " round " << round;
    // The words hold no "tool": what shows it outside of arguments has leaked.
    EXPECT_EQ(whole.message.text().find("tool"), std::string::npos) << round;
    EXPECT_EQ(whole.message.reasoning_content.find("tool"), std::string::npos) << round;
  }
}

}  // namespace
}  // namespace hadal::tool_tokens
