// Properties of the output parser over transcripts cut at will, damaged, and made up.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "prompt/dsml_parser.h"
#include "testing/transcripts.h"

namespace hadal::dsml {
namespace {

using testing::cut;
using testing::joined;
using testing::kMarkers;
using testing::Outcome;
using testing::Symbol;
using testing::symbols_of;
using testing::violation;

Outcome parse(const std::vector<Symbol>& symbols, bool starts_in_reasoning) {
  return testing::parse(Parser(starts_in_reasoning, {}), symbols);
}

const std::vector<std::string> kTranscripts = {
    "Call.</think>\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"get_weather\">\n<｜DSML｜parameter name=\"city\" "
    "string=\"true\">Pa\"ris</｜DSML｜parameter>\n<｜DSML｜parameter name=\"days\" "
    "string=\"false\">2</｜DSML｜parameter>\n"
    "</｜DSML｜invoke>\n<｜DSML｜invoke name=\"now\">\n</｜DSML｜invoke>\n</｜DSML｜tool_calls><｜end▁of▁sentence｜>",
    "Ünïcode 你好 🙂 2 < 3 </think>a\n\n\nb < c </d>\n\n<｜end▁of▁sentence｜>",
    "think\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"写\">\n<｜DSML｜parameter name=\"täxt\" "
    "string=\"true\">\n\t\"</｜DSML｜par"
    "\" </｜DSML｜invoke> 🙂\\u00e9<</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls> "
    "on</think>\nanswer",
    "x</think><｜｜DSML｜｜tool_calls><｜｜DSML｜｜invoke name=\"f\"><｜｜DSML｜｜parameter name=\"input\" "
    "string=\"false\">{\"a\": [1, {\"b\": "
    "null}]}</｜｜DSML｜｜parameter></｜｜DSML｜｜invoke></｜｜DSML｜｜tool_calls>",
    "x</think>\n\n<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"bad\">\n<｜DSML｜parameter name=\"a\" "
    "string=\"false\">nope"
    "</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name=\"bad2\">\njunk\n</｜DSML｜invoke>\n<｜DSML｜invoke "
    "name=\"good\">\n"
    "<｜DSML｜parameter name=\"k\" string=\"true\"></｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke "
    "name=\"cut\">\n<｜DSML｜para",
    "<think>a</think>b<think>c</think>d ｜DSML｜ e </｜DSML｜invoke> f <｜fim▁hole｜>g<｜User｜>h",
};

// Compares the outcome of pieces with that of the whole transcript.
void expect_same(const Outcome& whole, const Outcome& pieces, const std::string& where) {
  EXPECT_EQ(violation(pieces), "") << where;
  EXPECT_EQ(pieces.message, whole.message) << where;
  EXPECT_EQ(joined(pieces.events), joined(whole.events)) << where;
}

TEST(DsmlProperties, every_cut_into_two_gives_the_outcome_of_the_whole) {
  for (const std::string& transcript : kTranscripts) {
    for (const bool starts_in_reasoning : {false, true}) {
      const std::vector<Symbol> symbols = symbols_of(transcript);
      const Outcome whole = parse(symbols, starts_in_reasoning);
      ASSERT_EQ(violation(whole), "") << transcript;
      for (size_t i = 0; i < symbols.size(); ++i) {
        if (symbols[i].is_marker) continue;
        for (size_t at = 1; at < symbols[i].bytes.size(); ++at) {
          std::vector<Symbol> pieces = symbols;
          pieces[i].bytes.resize(at);
          pieces.insert(pieces.begin() + static_cast<ptrdiff_t>(i) + 1,
                        {.is_marker = false, .marker = {}, .bytes = symbols[i].bytes.substr(at)});
          expect_same(whole, parse(pieces, starts_in_reasoning), fmt::format("{} at {}+{}", transcript, i, at));
        }
      }
    }
  }
}

TEST(DsmlProperties, random_cuts_give_the_outcome_of_the_whole) {
  constexpr unsigned kSeed = 20261123;
  std::mt19937 random(kSeed);
  for (const std::string& transcript : kTranscripts) {
    for (const bool starts_in_reasoning : {false, true}) {
      const std::vector<Symbol> symbols = symbols_of(transcript);
      const Outcome whole = parse(symbols, starts_in_reasoning);
      for (int round = 0; round < 100; ++round) {
        const size_t piece_bytes_max = 1 + static_cast<size_t>(round) % 12;
        expect_same(whole, parse(cut(symbols, piece_bytes_max, random), starts_in_reasoning),
                    fmt::format("{} seed {} round {}", transcript, kSeed, round));
      }
    }
  }
}

// Markup, words and markers in any order.
std::vector<Symbol> random_output(std::mt19937& random) {
  static const std::vector<std::string> kWords = {"\n",
                                                  "\n\n",
                                                  "<",
                                                  "</",
                                                  "｜",
                                                  ">",
                                                  "\">\n",
                                                  "tool_calls>\n",
                                                  "invoke",
                                                  "invoke>",
                                                  " name=\"f\">",
                                                  "parameter>",
                                                  "parameter",
                                                  " name=\"k\" ",
                                                  "string=\"true\">",
                                                  " name=\"k\" string=\"true\">",
                                                  " name=\"n\" string=\"false\">",
                                                  "1",
                                                  "{\"a\":1}",
                                                  "text",
                                                  "\"",
                                                  "\\",
                                                  "\xE4",
                                                  "\xBD\xA0",
                                                  "\xFF",
                                                  "é",
                                                  "input"};
  std::uniform_int_distribution<size_t> word(0, kWords.size() - 1);
  std::uniform_int_distribution<size_t> marker(0, kMarkers.size() - 1);
  std::uniform_int_distribution<int> percent(0, 99);
  std::vector<Symbol> symbols;
  const int n = 5 + percent(random);
  for (int i = 0; i < n; ++i) {
    const int dice = percent(random);
    if (dice < 5) {
      const auto& [spelling, kind] = kMarkers[marker(random)];
      symbols.push_back({.is_marker = true, .marker = kind, .bytes = std::string(spelling)});
    } else if (dice < 35) {
      symbols.push_back({.is_marker = true, .marker = Marker::kDsml, .bytes = "｜DSML｜"});
    } else {
      symbols.push_back({.is_marker = false, .marker = {}, .bytes = kWords[word(random)]});
    }
  }
  return symbols;
}

TEST(DsmlProperties, whatever_the_model_writes_the_events_keep_their_promises) {
  constexpr unsigned kSeed = 7;
  std::mt19937 random(kSeed);
  for (int round = 0; round < 20000; ++round) {
    const std::vector<Symbol> symbols = random_output(random);
    const bool starts_in_reasoning = round % 2 == 1;
    const Outcome whole = parse(symbols, starts_in_reasoning);
    ASSERT_EQ(violation(whole), "") << "seed " << kSeed << " round " << round;
    expect_same(whole, parse(cut(symbols, 3, random), starts_in_reasoning),
                fmt::format("seed {} round {}", kSeed, round));
    ASSERT_FALSE(HasFailure()) << "seed " << kSeed << " round " << round;
    // The words hold no "DSML": what shows it outside of arguments has leaked.
    EXPECT_EQ(whole.message.text().find("DSML"), std::string::npos) << round;
    EXPECT_EQ(whole.message.reasoning_content.find("DSML"), std::string::npos) << round;
  }
}

// Writes calls as the release's encoder does, then reads them: what the model meant is what the tool gets.
TEST(DsmlProperties, calls_that_are_written_and_read_again_are_the_same) {
  constexpr unsigned kSeed = 99;
  std::mt19937 random(kSeed);
  static const std::vector<std::string> kTexts = {"",     "a\nb", "\"q\"", "\\", "<b>", "</parameter>", "你好 🙂",
                                                  "\x01", "a</",  "｜",    "1",  "{}",  "</tool>"};
  static const std::vector<std::string> kValues = {"1", "-2.50", "true", "null", "[1, \"é\"]", "{\"x\": {}}", "\n 7 "};
  std::uniform_int_distribution<size_t> text(0, kTexts.size() - 1);
  std::uniform_int_distribution<size_t> value(0, kValues.size() - 1);
  std::uniform_int_distribution<int> count(0, 3);
  for (int round = 0; round < 2000; ++round) {
    std::string transcript = "\n\n<｜DSML｜tool_calls>\n";
    std::vector<ToolCall> wanted;
    for (int i_call = 0; i_call <= count(random); ++i_call) {
      const std::string name = fmt::format("tool{}", i_call);
      std::string arguments = "{";
      transcript += "<｜DSML｜invoke name=\"" + name + "\">\n";
      const int n_parameters = count(random);
      for (int i = 0; i < n_parameters; ++i) {
        const bool is_string = count(random) < 2;
        const std::string content = is_string ? kTexts[text(random)] : kValues[value(random)];
        transcript += fmt::format("<｜DSML｜parameter name=\"k{}\" string=\"{}\">{}</｜DSML｜parameter>\n", i,
                                  is_string, content);
        arguments += fmt::format("{}\"k{}\": {}", i > 0 ? ", " : "", i, is_string ? json::quote(content) : content);
      }
      transcript += "</｜DSML｜invoke>\n";
      wanted.push_back({.id = "", .name = name, .arguments = arguments + "}"});
    }
    transcript += "</｜DSML｜tool_calls>";
    const Outcome outcome = parse(cut(symbols_of(transcript), 5, random), false);
    ASSERT_EQ(violation(outcome), "") << "seed " << kSeed << " round " << round;
    ASSERT_EQ(outcome.message.tool_calls, wanted) << transcript;
  }
}

}  // namespace
}  // namespace hadal::dsml
