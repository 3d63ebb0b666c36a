#include "prompt/dsml_parser.h"

#include <algorithm>

namespace hadal::dsml {
namespace {

constexpr std::string_view kEndedInTag = "output ended inside the first tag of a call";
constexpr std::string_view kWrapperKeys[] = {"arguments", "input"};

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// The line feeds in front of a block belong to it: at most two.
size_t block_line_feeds(std::string_view text) {
  size_t n = 0;
  while (n < 2 && n < text.size() && text[text.size() - 1 - n] == '\n') ++n;
  return n;
}

// The end of answer text that may still turn out to be the beginning of a block.
size_t held_suffix(std::string_view text) {
  const size_t opener = opener_suffix(text);
  return opener + block_line_feeds(text.substr(0, text.size() - opener));
}

bool opens_calls(const Tag& tag) {
  return !tag.is_closing && (tag.kind == Tag::Kind::kBlock || tag.kind == Tag::Kind::kInvoke ||
                             tag.kind == Tag::Kind::kParameter || tag.kind == Tag::Kind::kMalformed);
}

bool declares(const json::Value& tool, std::string_view key) {
  const json::Value* function = tool.find("function");
  const json::Value* parameters = function ? function->find("parameters") : nullptr;
  const json::Value* properties = parameters ? parameters->find("properties") : nullptr;
  return properties && properties->find(key);
}

std::vector<std::pair<std::string, std::string>> parameters_named_like_wrappers(const json::Value& tools) {
  std::vector<std::pair<std::string, std::string>> found;
  for (const json::Value& tool : tools.items()) {
    for (const std::string_view key : kWrapperKeys) {
      if (!declares(tool, key)) continue;
      const json::Value* name = tool.find("function")->find("name");
      if (name) found.emplace_back(name->as_string(), key);
    }
  }
  return found;
}

}  // namespace

Parser::Parser(bool starts_in_reasoning, const json::Value& tools)
    : state_(starts_in_reasoning ? State::kReasoning : State::kContent),
      real_wrappers_(parameters_named_like_wrappers(tools)) {}

void Parser::push_text(std::string_view bytes, Events& events) {
  if (is_done()) return;
  writer_.begin_push(events);
  buffer_ += characters_.push(bytes);
  run(events);
}

void Parser::push_marker(Marker marker, std::string_view spelling, Events& events) {
  if (is_done()) return;
  writer_.begin_push(events);
  buffer_ += characters_.finish();
  run(events);
  if (marker == Marker::kEos || (marker == Marker::kRole && state_ != State::kValue)) return end_turn(events);
  if (marker == Marker::kDsml) {
    buffer_ += kMarker;
    return run(events);
  }
  // A parameter is data for a tool, a file perhaps that holds these very spellings: they are its text.
  if (state_ == State::kValue) {
    buffer_ += spelling;
    return run(events);
  }
  if (marker != Marker::kThink && marker != Marker::kEndThink) return;
  if (is_text()) {
    settle_text(events);
    state_ = marker == Marker::kThink ? State::kReasoning : State::kContent;
  } else if (marker == Marker::kEndThink && behind_block_ == State::kReasoning) {
    // The reasoning is over, so the block inside it is too, whether it was closed or not.
    end_block(events);
    state_ = State::kContent;
  }
}

void Parser::finish(Events& events) {
  if (is_done()) return;
  writer_.begin_push(events);
  buffer_ += characters_.finish();
  run(events);
  end_turn(events);
}

void Parser::run(Events& events) {
  while (step(events)) {
  }
}

bool Parser::step(Events& events) {
  switch (state_) {
    case State::kReasoning:
    case State::kContent:
      return step_text(events);
    case State::kCalls:
      return step_calls(events);
    case State::kInvoke:
      return step_invoke(events);
    case State::kValue:
      return step_value(events);
    case State::kSkip:
      return step_skip();
    case State::kAfter:
      return step_after();
    case State::kDone:
      return false;
  }
  return false;
}

bool Parser::step_text(Events& events) {
  const Tag tag = find_tag(buffer_);
  const std::string_view before = std::string_view(buffer_).substr(0, tag.begin);
  switch (tag.kind) {
    case Tag::Kind::kNone:
      emit_text(events, buffer_.size() - held_suffix(buffer_));
      return false;
    case Tag::Kind::kIncomplete:
      emit_text(events, before.size() - block_line_feeds(before));
      return false;
    default:
      break;
  }
  if (opens_calls(tag)) {
    const size_t line_feeds = block_line_feeds(before);
    emit_text(events, before.size() - line_feeds);
    consume(line_feeds);
    enter_calls();
  } else {
    // A closing tag or a marker on its own: the text around it stays.
    emit_text(events, tag.begin);
    consume(tag.end - tag.begin);
  }
  return true;
}

bool Parser::step_calls(Events& events) {
  const Tag tag = find_tag(buffer_);
  if (tag.kind == Tag::Kind::kNone) {
    consume(buffer_.size() - opener_suffix(buffer_));
    return false;
  }
  consume(tag.begin);  // between calls only line feeds are expected; anything else is dropped
  if (tag.kind == Tag::Kind::kIncomplete) return false;
  consume(tag.end - tag.begin);
  if (tag.is_closing) {
    if (tag.kind == Tag::Kind::kBlock) state_ = behind_block_;
  } else if (tag.kind == Tag::Kind::kInvoke) {
    begin_call(events, tag);
  } else if (tag.kind == Tag::Kind::kParameter) {
    break_call(events, "parameter outside of a call");
  } else if (tag.kind == Tag::Kind::kMalformed) {
    break_call(events, "malformed tag in the place of a call");
  }
  return true;
}

bool Parser::step_invoke(Events& events) {
  const Tag tag = find_tag(buffer_);
  const bool has_tag = tag.kind != Tag::Kind::kNone;
  const size_t before = has_tag ? tag.begin : buffer_.size() - opener_suffix(buffer_);
  if (!is_blank(std::string_view(buffer_).substr(0, before))) {
    break_call(events, "text in the place of a parameter");
    return true;
  }
  consume(before);
  if (!has_tag || tag.kind == Tag::Kind::kIncomplete) return false;

  const size_t tag_bytes = tag.end - tag.begin;
  if (tag.kind == Tag::Kind::kParameter) {
    consume(tag_bytes);
    if (!tag.is_closing) begin_parameter(events, tag);  // a parameter that is closed twice does no harm
  } else if (tag.kind == Tag::Kind::kInvoke && tag.is_closing) {
    consume(tag_bytes);
    end_call(events);
  } else if (tag.kind == Tag::Kind::kInvoke || (tag.kind == Tag::Kind::kBlock && tag.is_closing)) {
    end_call(events);  // not closed, but its parameters are complete and the model went on; the tag is read again
  } else {
    consume(tag_bytes);
    break_call(events, "malformed tag in the place of a parameter");
  }
  return true;
}

bool Parser::step_value(Events& events) {
  const Tag tag = find_tag(buffer_);
  if (tag.kind == Tag::Kind::kNone) {
    const size_t certain = buffer_.size() - opener_suffix(buffer_);
    arguments_.append(std::string_view(buffer_).substr(0, certain));
    emit_arguments(events);
    consume(certain);
    return false;
  }
  arguments_.append(std::string_view(buffer_).substr(0, tag.begin));
  emit_arguments(events);
  consume(tag.begin);
  const size_t at = buffer_.find(kMarker);
  if (tag.is_closing && tag.kind == Tag::Kind::kIncomplete) return false;
  if (tag.is_closing && tag.kind == Tag::Kind::kParameter) {
    consume(tag.end - tag.begin);
    state_ = State::kInvoke;
    if (Result<void> ended = arguments_.end_parameter(); !ended.ok()) break_call(events, ended.error().what);
    return true;
  }
  // Any other tag is text here: a value ends at its closing tag and nowhere else.
  arguments_.append(std::string_view(buffer_).substr(0, at));
  arguments_.append(marker::kDsml);
  consume(at + 1);
  return true;
}

bool Parser::step_skip() {
  const Tag tag = find_tag(buffer_);
  if (tag.kind == Tag::Kind::kNone) {
    consume(buffer_.size() - opener_suffix(buffer_));
    return false;
  }
  consume(tag.begin);
  if (tag.kind == Tag::Kind::kIncomplete) return false;
  const bool is_next =
      (tag.kind == Tag::Kind::kInvoke && !tag.is_closing) || (tag.kind == Tag::Kind::kBlock && tag.is_closing);
  const bool is_end = tag.kind == Tag::Kind::kInvoke && tag.is_closing;
  if (!is_next) consume(tag.end - tag.begin);
  if (is_next || is_end) state_ = State::kCalls;
  return true;
}

bool Parser::step_after() {
  const Tag tag = find_tag(buffer_);
  if (tag.kind == Tag::Kind::kNone) {
    consume(buffer_.size() - opener_suffix(buffer_));
    return false;
  }
  consume(tag.begin);
  if (tag.kind == Tag::Kind::kIncomplete) return false;
  if (opens_calls(tag)) {
    state_ = State::kCalls;
  } else {
    consume(tag.end - tag.begin);
  }
  return true;
}

// The tag that opens the calls stays in the buffer: kCalls reads it, a bare invoke as well as tool_calls.
void Parser::enter_calls() {
  behind_block_ = state_ == State::kReasoning ? State::kReasoning : State::kAfter;
  state_ = State::kCalls;
}

// Text that was held back is text after all. A tag that was begun is dropped with its line feeds: it was markup.
void Parser::settle_text(Events& events) {
  const Tag tag = find_tag(buffer_);
  if (tag.kind == Tag::Kind::kNone) {
    emit_text(events, buffer_.size());
  } else {
    const std::string_view before = std::string_view(buffer_).substr(0, tag.begin);
    emit_text(events, before.size() - block_line_feeds(before));
    if (!tag.is_closing) break_call(events, kEndedInTag);
  }
  buffer_.clear();
}

// The block is over without its closing tag.
void Parser::end_block(Events& events) {
  if (is_inside_call()) {
    break_call(events, "output ended inside the call");
  } else if (state_ == State::kCalls) {
    const Tag tag = find_tag(buffer_);
    if (tag.kind != Tag::Kind::kNone && !tag.is_closing) break_call(events, kEndedInTag);
  }
  buffer_.clear();
}

void Parser::end_turn(Events& events) {
  if (is_text()) {
    settle_text(events);
  } else {
    end_block(events);
  }
  state_ = State::kDone;
}

// Moves the front of the buffer into the reasoning or the content.
void Parser::emit_text(Events& events, size_t bytes) {
  writer_.text(events, state_ == State::kReasoning, std::string_view(buffer_).substr(0, bytes));
  consume(bytes);
}

void Parser::begin_call(Events& events, const Tag& tag) {
  if (tag.name.empty()) return break_call(events, "call without a name");
  tool_ = tag.name;
  arguments_ = Arguments();
  writer_.begin_call(events, tool_);
  state_ = State::kInvoke;
}

bool Parser::is_wrapper(std::string_view key) const {
  if (std::ranges::find(kWrapperKeys, key) == std::end(kWrapperKeys)) return false;
  return std::ranges::none_of(real_wrappers_,
                              [&](const auto& real) { return real.first == tool_ && real.second == key; });
}

void Parser::begin_parameter(Events& events, const Tag& tag) {
  state_ = State::kValue;
  if (Result<void> begun = arguments_.begin_parameter(tag.name, tag.is_string, is_wrapper(tag.name)); !begun.ok()) {
    return break_call(events, begun.error().what);
  }
  emit_arguments(events);
}

void Parser::emit_arguments(Events& events) {
  writer_.arguments(events, arguments_.take_delta());
}

void Parser::end_call(Events& events) {
  arguments_.finish();
  emit_arguments(events);
  writer_.end_call(events, arguments_.text());
  state_ = State::kCalls;
}

// The open call is lost, or one that never began; its rest is skipped.
void Parser::break_call(Events& events, std::string_view why) {
  writer_.break_call(events, why);
  state_ = State::kSkip;
}

}  // namespace hadal::dsml
