// The spellings of the added tokens that prompts and outputs are made of, in every generation.
//
// Source: tokenizer_config.json and the encoders of the releases from V3 to V4.1. The bars are U+FF5C and the
// separators U+2581, never ASCII.
#pragma once

#include <string_view>

namespace hadal {
namespace marker {

inline constexpr std::string_view kBos = "<｜begin▁of▁sentence｜>";
inline constexpr std::string_view kEos = "<｜end▁of▁sentence｜>";
inline constexpr std::string_view kUser = "<｜User｜>";
inline constexpr std::string_view kAssistant = "<｜Assistant｜>";
inline constexpr std::string_view kThink = "<think>";
inline constexpr std::string_view kEndThink = "</think>";

// V4.
inline constexpr std::string_view kLatestReminder = "<｜latest_reminder｜>";
// V4.1.
inline constexpr std::string_view kSystem = "<｜System｜>";
// V3.2 and V4: the token inside tool markup; `<`, tag names and `>` around it are ordinary text.
inline constexpr std::string_view kDsml = "｜DSML｜";

// V3, R1 and V3.1: the frame of tool calls and their results.
inline constexpr std::string_view kCallsBegin = "<｜tool▁calls▁begin｜>";
inline constexpr std::string_view kCallsEnd = "<｜tool▁calls▁end｜>";
inline constexpr std::string_view kCallBegin = "<｜tool▁call▁begin｜>";
inline constexpr std::string_view kCallEnd = "<｜tool▁call▁end｜>";
inline constexpr std::string_view kCallSep = "<｜tool▁sep｜>";
inline constexpr std::string_view kResultsBegin = "<｜tool▁outputs▁begin｜>";
inline constexpr std::string_view kResultsEnd = "<｜tool▁outputs▁end｜>";
inline constexpr std::string_view kResultBegin = "<｜tool▁output▁begin｜>";
inline constexpr std::string_view kResultEnd = "<｜tool▁output▁end｜>";

}  // namespace marker

// What a marker means in the output of a model.
enum class Marker {
  kThink,
  kEndThink,
  kDsml,
  kCallsBegin,
  kCallsEnd,
  kCallBegin,
  kCallEnd,
  kCallSep,
  kResult,  // of kResultsBegin to kResultEnd: what tools say begins or ends
  kEos,     // the end of the turn, wherever it comes
  kRole,    // another party's turn begins: the end as well, but not inside the arguments of a call
  kOther,   // any other added token
};

}  // namespace hadal
