// From token ids to the markers and bytes that a TurnParser reads.
#include "prompt/output_parser.h"

#include <algorithm>
#include <utility>

#include "prompt/call_syntax.h"
#include "prompt/dsml_parser.h"
#include "prompt/markers.h"
#include "prompt/spelled_markers.h"
#include "prompt/tool_token_parser.h"

namespace hadal {
namespace {

constexpr std::pair<std::string_view, Marker> kMarkers[] = {
    {marker::kThink, Marker::kThink},
    {marker::kEndThink, Marker::kEndThink},
    {marker::kDsml, Marker::kDsml},
    {marker::kCallsBegin, Marker::kCallsBegin},
    {marker::kCallsEnd, Marker::kCallsEnd},
    {marker::kCallBegin, Marker::kCallBegin},
    {marker::kCallEnd, Marker::kCallEnd},
    {marker::kCallSep, Marker::kCallSep},
    {marker::kResultsBegin, Marker::kResult},
    {marker::kResultsEnd, Marker::kResult},
    {marker::kResultBegin, Marker::kResult},
    {marker::kResultEnd, Marker::kResult},
    {marker::kEos, Marker::kEos},
    // Added tokens that begin another party's turn, or the text of another document.
    {marker::kBos, Marker::kRole},
    {marker::kUser, Marker::kRole},
    {marker::kAssistant, Marker::kRole},
    {marker::kLatestReminder, Marker::kRole},
    {marker::kSystem, Marker::kRole},
    {"<|EOT|>", Marker::kRole},
};

// What the models of an encoding cannot do without, whatever their tokenizer has.
bool is_needed(Marker marker, const OutputSyntax& syntax) {
  if (marker == Marker::kThink || marker == Marker::kEndThink) return syntax.has_reasoning;
  return marker == Marker::kDsml && syntax.calls == CallSyntax::kDsml;
}

std::unique_ptr<TurnParser> turn_parser(CallSyntax calls, bool starts_in_reasoning, const json::Value& tools) {
  if (calls == CallSyntax::kToolTokens) return std::make_unique<tool_tokens::Parser>(starts_in_reasoning);
  return std::make_unique<dsml::Parser>(starts_in_reasoning, tools);
}

}  // namespace

struct OutputParser::Impl {
  Impl(const Tokenizer& t, const OutputSyntax& syntax, bool starts_in_reasoning, const json::Value& tools)
      : tokenizer(&t), parser(turn_parser(syntax.calls, starts_in_reasoning, tools)) {
    for (const auto& [spelling, marker] : kMarkers) {
      if (const auto id = t.added_token(spelling)) {
        ids.emplace_back(*id, marker);
      } else if (is_needed(marker, syntax)) {
        spelled.add(spelling, marker);
      }
    }
  }

  Marker marker_of(TokenId id) const {
    const auto found = std::ranges::find(ids, id, &std::pair<TokenId, Marker>::first);
    return found == ids.end() ? Marker::kOther : found->second;
  }

  void push_text(std::string_view bytes, std::vector<OutputEvent>& events) {
    if (spelled.is_empty()) return parser->push_text(bytes, events);
    for (const SpelledMarkers::Piece& piece : spelled.push(bytes)) {
      if (piece.is_marker) {
        parser->push_marker(piece.marker, piece.text, events);
      } else {
        parser->push_text(piece.text, events);
      }
    }
  }

  // Another token follows, or none: what is held back of a spelling is text.
  void settle(std::vector<OutputEvent>& events) {
    if (const std::string held = spelled.finish(); !held.empty()) parser->push_text(held, events);
  }

  const Tokenizer* tokenizer;
  std::vector<std::pair<TokenId, Marker>> ids;
  SpelledMarkers spelled;
  std::unique_ptr<TurnParser> parser;
};

OutputParser::OutputParser(const Tokenizer& tokenizer, PromptEncoding encoding, bool starts_in_reasoning)
    : OutputParser(tokenizer, encoding, starts_in_reasoning, json::Value()) {}

OutputParser::OutputParser(const Tokenizer& tokenizer, PromptEncoding encoding, bool starts_in_reasoning,
                           const json::Value& tools)
    : impl_(std::make_unique<Impl>(tokenizer, output_syntax(encoding), starts_in_reasoning, tools)) {}

OutputParser::~OutputParser() = default;
OutputParser::OutputParser(OutputParser&&) noexcept = default;
OutputParser& OutputParser::operator=(OutputParser&&) noexcept = default;

void OutputParser::push(TokenId id, std::vector<OutputEvent>& events) {
  const std::string_view bytes = impl_->tokenizer->token_bytes(id);
  if (impl_->tokenizer->is_added(id)) {
    impl_->settle(events);
    impl_->parser->push_marker(impl_->marker_of(id), bytes, events);
  } else {
    impl_->push_text(bytes, events);
  }
}

void OutputParser::finish(std::vector<OutputEvent>& events) {
  impl_->settle(events);
  impl_->parser->finish(events);
}

bool OutputParser::is_done() const {
  return impl_->parser->is_done();
}

bool OutputParser::in_reasoning() const {
  return impl_->parser->in_reasoning();
}

const Message& OutputParser::message() const {
  return impl_->parser->message();
}

}  // namespace hadal
