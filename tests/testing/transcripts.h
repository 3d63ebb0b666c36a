// For tests and fuzzing of the parsers of output: transcripts as sequences of markers and bytes, cut at will, and what
// must hold for the events of any output.
#pragma once

#include <fmt/format.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/utf8.h"
#include "prompt/turn_parser.h"

namespace hadal::testing {

// A marker, or the bytes of an ordinary token.
struct Symbol {
  bool is_marker = false;
  Marker marker = Marker::kOther;
  std::string bytes;  // of a marker its spelling
};

inline const std::vector<std::pair<std::string_view, Marker>> kMarkers = {
    {marker::kThink, Marker::kThink},
    {marker::kEndThink, Marker::kEndThink},
    {marker::kDsml, Marker::kDsml},
    {marker::kEos, Marker::kEos},
    {marker::kUser, Marker::kRole},
    {"<｜fim▁hole｜>", Marker::kOther},
    {marker::kCallsBegin, Marker::kCallsBegin},
    {marker::kCallsEnd, Marker::kCallsEnd},
    {marker::kCallBegin, Marker::kCallBegin},
    {marker::kCallEnd, Marker::kCallEnd},
    {marker::kCallSep, Marker::kCallSep},
    {marker::kResultBegin, Marker::kResult},
};

// A transcript in which every spelling of a marker is that marker.
inline std::vector<Symbol> symbols_of(std::string_view transcript) {
  std::vector<Symbol> symbols;
  std::string text;
  const auto end_text = [&] {
    if (!text.empty()) symbols.push_back({.is_marker = false, .marker = {}, .bytes = text});
    text.clear();
  };
  while (!transcript.empty()) {
    bool is_marker = false;
    for (const auto& [spelling, marker] : kMarkers) {
      if (!transcript.starts_with(spelling)) continue;
      end_text();
      symbols.push_back({.is_marker = true, .marker = marker, .bytes = std::string(spelling)});
      transcript.remove_prefix(spelling.size());
      is_marker = true;
      break;
    }
    if (is_marker) continue;
    text += transcript.front();
    transcript.remove_prefix(1);
  }
  end_text();
  return symbols;
}

// The same symbols with each text cut into pieces of random lengths, inside characters too.
inline std::vector<Symbol> cut(const std::vector<Symbol>& symbols, size_t piece_bytes_max, std::mt19937& random) {
  std::vector<Symbol> pieces;
  std::uniform_int_distribution<size_t> length(1, piece_bytes_max);
  for (const Symbol& symbol : symbols) {
    if (symbol.is_marker) {
      pieces.push_back(symbol);
      continue;
    }
    for (std::string_view rest = symbol.bytes; !rest.empty();) {
      const std::string_view piece = rest.substr(0, length(random));
      pieces.push_back({.is_marker = false, .marker = {}, .bytes = std::string(piece)});
      rest.remove_prefix(piece.size());
    }
  }
  return pieces;
}

struct Outcome {
  Message message;
  std::vector<OutputEvent> events;
};

inline Outcome parse(TurnParser&& parser, const std::vector<Symbol>& symbols) {
  Outcome outcome;
  for (const Symbol& symbol : symbols) {
    if (symbol.is_marker) {
      parser.push_marker(symbol.marker, symbol.bytes, outcome.events);
    } else {
      parser.push_text(symbol.bytes, outcome.events);
    }
  }
  parser.finish(outcome.events);
  outcome.message = parser.message();
  return outcome;
}

// Neighbouring deltas of one kind joined: what does not depend on where the output was cut.
inline std::vector<OutputEvent> joined(const std::vector<OutputEvent>& events) {
  std::vector<OutputEvent> result;
  for (const OutputEvent& event : events) {
    const bool is_delta = event.kind == OutputEvent::Kind::kReasoning || event.kind == OutputEvent::Kind::kContent ||
                          event.kind == OutputEvent::Kind::kCallArguments;
    if (is_delta && !result.empty() && result.back().kind == event.kind &&
        result.back().call_index == event.call_index) {
      result.back().text += event.text;
    } else {
      result.push_back(event);
    }
  }
  return result;
}

// Whether JSON text that begins outside of an escape ends outside of one.
inline bool ends_outside_escape(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') continue;
    if (i + 1 == text.size()) return false;
    i += text[i + 1] == 'u' ? 5 : 1;
    if (i >= text.size()) return false;
  }
  return true;
}

// What is wrong with an outcome; empty when all that the events promise holds.
inline std::string violation(const Outcome& outcome) {
  using Kind = OutputEvent::Kind;
  std::string reasoning, content;
  std::vector<ToolCall> calls;
  int n_begun = 0;
  bool is_open = false;
  ToolCall open;
  for (const OutputEvent& event : outcome.events) {
    if (!utf8::is_valid(event.text)) return "an event's text is not UTF-8";
    const bool is_delta =
        event.kind == Kind::kReasoning || event.kind == Kind::kContent || event.kind == Kind::kCallArguments;
    if (is_delta && event.text.empty()) return "a delta is empty";
    const bool is_of_open_call = is_open && event.call_index == n_begun - 1;
    switch (event.kind) {
      case Kind::kReasoning:
        reasoning += event.text;
        break;
      case Kind::kContent:
        content += event.text;
        break;
      case Kind::kCallBegin:
        if (is_open || event.call_index != n_begun) return "a call begins out of turn";
        ++n_begun;
        is_open = true;
        open = {.id = "", .name = event.text, .arguments = ""};
        break;
      case Kind::kCallArguments:
        if (!is_of_open_call) return "arguments without their call";
        if (!ends_outside_escape(event.text)) return "arguments are cut inside an escape";
        open.arguments += event.text;
        break;
      case Kind::kCallEnd:
        if (!is_of_open_call) return "a call ends that is not open";
        calls.push_back(open);
        is_open = false;
        break;
      case Kind::kCallBroken:
        if (event.text.empty()) return "a call is broken without a reason";
        if (event.call_index != -1 && !is_of_open_call) return "a call breaks that is not open";
        if (event.call_index == -1 && is_open) return "a call breaks inside another one";
        is_open = false;
        break;
    }
    if (is_open && !is_of_open_call && event.kind != Kind::kCallBegin) return "something stands inside a call";
  }
  if (is_open) return "a call is left open";
  if (reasoning != outcome.message.reasoning_content) return "reasoning deltas are not the reasoning";
  if (content != outcome.message.text()) return "content deltas are not the content";
  if (calls != outcome.message.tool_calls) return "call deltas are not the calls";
  for (const ToolCall& call : calls) {
    const Result<json::Value> arguments = json::parse(call.arguments, "arguments", {.depth_max = 80});
    if (!arguments.ok() || !arguments->is_object()) return fmt::format("arguments are no object: {}", call.arguments);
  }
  return "";
}

}  // namespace hadal::testing
