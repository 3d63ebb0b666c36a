#include "prompt/tool_token_parser.h"

#include <optional>

#include "base/json.h"

namespace hadal::tool_tokens {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
// Of \uXXXX behind its `u`.
constexpr size_t kHexDigits = 4;

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

// "name\n```json\n" without the fence that opens a block of code, and without one that closes it.
std::string_view without_fences(std::string_view head) {
  head = trimmed(head);
  while (head.ends_with("```json") || head.ends_with("```")) head = trimmed(head.substr(0, head.rfind("```")));
  return head;
}

// The tool's name from what stands in front of SEP and behind it. Nothing when there is none, or more than a name.
std::optional<std::string_view> tool_name(std::string_view in_front, std::string_view behind) {
  const std::string_view name = without_fences(behind).empty() ? trimmed(in_front) : without_fences(behind);
  if (name.empty() || name.find('\n') != std::string_view::npos) return std::nullopt;
  return name;
}

bool is_frame(Marker marker) {
  return marker == Marker::kCallsBegin || marker == Marker::kCallsEnd || marker == Marker::kCallBegin ||
         marker == Marker::kCallEnd || marker == Marker::kCallSep;
}

}  // namespace

void ObjectEnd::take(char c) {
  if (escape_bytes_left_ > 0) {
    ++escape_bytes_;
    --escape_bytes_left_;
    if (escape_bytes_ == 2 && c == 'u') escape_bytes_left_ = kHexDigits;
    if (escape_bytes_left_ == 0) escape_bytes_ = 0;
  } else if (c == '\\') {
    escape_bytes_ = 1;
    escape_bytes_left_ = 1;
  } else if (c == '"') {
    is_string_ = !is_string_;
  } else if (!is_string_ && (c == '{' || c == '[')) {
    ++depth_;
  } else if (!is_string_ && (c == '}' || c == ']')) {
    is_whole_ = --depth_ == 0;
  }
}

size_t ObjectEnd::scan(std::string_view text) {
  size_t n = 0;
  while (n < text.size() && !is_whole_) take(text[n++]);
  return n;
}

void Parser::push_text(std::string_view bytes, Events& events) {
  if (is_done()) return;
  writer_.begin_push(events);
  take_text(characters_.push(bytes), events);
}

void Parser::push_marker(Marker marker, std::string_view spelling, Events& events) {
  if (is_done()) return;
  writer_.begin_push(events);
  take_text(characters_.finish(), events);
  if (marker == Marker::kEos) return end_turn(events);
  // Arguments are data for a tool, a file perhaps that holds these very spellings: they are its text.
  if (state_ == State::kArguments && !is_frame(marker)) return take_arguments(spelling, events);
  switch (marker) {
    case Marker::kThink:
    case Marker::kEndThink:
      return take_think(marker, events);
    case Marker::kCallsBegin:
      return enter_block();
    case Marker::kCallBegin:
      leave_call(events);
      enter_block();
      name_.clear();
      head_.clear();
      state_ = State::kName;
      return;
    case Marker::kCallSep:
      if (state_ == State::kName) state_ = State::kHead;
      return;
    case Marker::kCallEnd:
      return leave_call(events);
    case Marker::kCallsEnd:
      leave_call(events);
      if (state_ == State::kCalls) state_ = behind_block_;
      return;
    case Marker::kResult:  // tools speak: not the model
    case Marker::kRole:
      return end_turn(events);
    case Marker::kEos:
    case Marker::kDsml:
    case Marker::kOther:
      return;
  }
}

void Parser::finish(Events& events) {
  if (is_done()) return;
  writer_.begin_push(events);
  take_text(characters_.finish(), events);
  end_turn(events);
}

void Parser::take_text(std::string_view text, Events& events) {
  switch (state_) {
    case State::kReasoning:
    case State::kContent:
      return writer_.text(events, state_ == State::kReasoning, text);
    case State::kName:
      name_ += text;
      if (name_.size() > kCallHeadBytesMax) break_call("name of the tool is too long", events);
      return;
    case State::kHead:
      return take_head(text, events);
    case State::kArguments:
      return take_arguments(text, events);
    case State::kCalls:
    case State::kAfter:
    case State::kDone:
      return;
  }
}

void Parser::take_head(std::string_view text, Events& events) {
  const size_t brace = text.find('{');
  head_ += text.substr(0, brace);
  if (head_.size() > kCallHeadBytesMax) return break_call("name of the tool is too long", events);
  if (brace == std::string_view::npos) return;
  begin_call(events);
  if (state_ == State::kArguments) take_arguments(text.substr(brace), events);
}

void Parser::take_arguments(std::string_view text, Events& events) {
  arguments_ += text.substr(0, object_.scan(text));  // behind the object only a fence is expected; it is dropped
  const size_t certain = arguments_.size() - object_.open_escape_bytes();
  writer_.arguments(events, std::string_view(arguments_).substr(told_bytes_, certain - told_bytes_));
  told_bytes_ = certain;
  if (object_.is_whole()) end_call(events);
}

void Parser::take_think(Marker marker, Events& events) {
  if (is_text()) {
    state_ = marker == Marker::kThink ? State::kReasoning : State::kContent;
  } else if (marker == Marker::kEndThink && behind_block_ == State::kReasoning) {
    // The reasoning is over, so the block inside it is too, whether it was closed or not.
    leave_call(events);
    state_ = State::kContent;
  }
}

// A bare call is a block as well.
void Parser::enter_block() {
  if (is_text()) behind_block_ = state_ == State::kReasoning ? State::kReasoning : State::kAfter;
  if (is_text() || state_ == State::kAfter) state_ = State::kCalls;
}

// The frame of the call is over, or of the one before the next.
void Parser::leave_call(Events& events) {
  if (!is_inside_call()) return;
  const bool has_no_arguments = state_ == State::kHead && without_fences(head_).empty();
  if (!has_no_arguments) {
    return break_call(state_ == State::kArguments ? "arguments are not complete" : "call without arguments", events);
  }
  begin_call(events);
  if (state_ == State::kArguments) take_arguments("{}", events);
}

void Parser::begin_call(Events& events) {
  const std::optional<std::string_view> name = tool_name(name_, head_);
  if (!name) return break_call("call without a name", events);
  arguments_.clear();
  told_bytes_ = 0;
  object_ = ObjectEnd();
  writer_.begin_call(events, *name);
  state_ = State::kArguments;
}

void Parser::end_call(Events& events) {
  const Result<json::Value> object = json::parse(arguments_, "arguments");
  if (!object.ok() || !object->is_object()) return break_call("arguments are no JSON object", events);
  writer_.end_call(events, arguments_);
  state_ = State::kCalls;
}

void Parser::break_call(std::string_view why, Events& events) {
  writer_.break_call(events, why);
  state_ = State::kCalls;
}

void Parser::end_turn(Events& events) {
  if (is_inside_call()) break_call("output ended inside the call", events);
  state_ = State::kDone;
}

}  // namespace hadal::tool_tokens
