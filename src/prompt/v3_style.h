// What differs between the encodings of V3, R1 and V3.1: a table each. v3_prompt.cpp is what they share.
//
// Sources: chat_template in tokenizer_config.json of DeepSeek-V3, -V3-0324, -R1, -R1-0528 and -V3.1. Markers stand in
// these texts by their spelling (markers.h).
#pragma once

#include <string_view>

namespace hadal::v3 {

enum class Reasoning { kNever, kAlways, kAsked };

// Which part of an earlier answer's text counts as reasoning and is left out: that up to a </think> in it.
enum class DropsReasoning { kNone, kUpToFirstMark, kUpToLastMark };

// One call is call_begin NAME arguments_begin ARGUMENTS call_end.
struct CallStyle {
  std::string_view call_begin;
  std::string_view arguments_begin;
  std::string_view call_end;
  std::string_view between_calls;
  // Around the results of one turn, and between them.
  std::string_view results_begin;
  std::string_view between_results;
  std::string_view results_end;
  // The last line of the tool instructions: how further calls follow the first.
  std::string_view further_calls_rule;
};

// V3 and R1.
inline constexpr CallStyle kFencedCalls = {
    .call_begin = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
    .arguments_begin = "\n```json\n",
    .call_end = "\n```<｜tool▁call▁end｜>",
    .between_calls = "\n",
    .results_begin = "<｜tool▁outputs▁begin｜>",
    .between_results = "\n",
    .results_end = "<｜tool▁outputs▁end｜>",
    .further_calls_rule = "- For multiple tool calls, begin each further one on a new line\n",
};

struct Style {
  Reasoning reasoning = Reasoning::kNever;
  // Behind <｜Assistant｜>: where a reply is asked for, without and with reasoning, and in an answer of the past.
  std::string_view asks_for_answer = {};
  std::string_view asks_for_reasoning = {};
  std::string_view past_answer = {};
  // An answer has a header only behind a user's message; else everywhere but behind results.
  bool only_users_get_headers = false;
  // A conversation that ends in an answer asks for another one.
  bool asks_behind_answer = false;
  DropsReasoning drops_reasoning = DropsReasoning::kNone;
  CallStyle calls = {};
};

extern const Style kV3;
extern const Style kR1;
extern const Style kR1Release0528;
extern const Style kV31;

// Tool instructions, behind the system text and a blank line:
//
//   kToolsHead { kToolName NAME kToolDescription TEXT kToolParameters JSON "\n" } kToolsForm CALL kToolsTail RULE
//
// with the form of a call as the style has it. No template of these releases renders tools. The text is that which V3.1
// was published with (SGLang's tool_chat_template_deepseekv31.jinja); V3 and R1 get the same with their form of a call.
extern const std::string_view kToolsHead;
extern const std::string_view kToolName;
extern const std::string_view kToolDescription;
extern const std::string_view kToolParameters;
extern const std::string_view kToolsForm;
extern const std::string_view kToolsTail;

}  // namespace hadal::v3
