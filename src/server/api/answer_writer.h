// From the events of an answer to the bytes of one API, streamed or whole. No clock, no socket: tests compare texts.
//
//   begin, event..., finished (per choice), end        a stream;     failed: its last words after an error
//   whole                                              everything at once
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/generate.h"
#include "server/api/answer_request.h"

namespace hadal::api {

struct AnswerFacts {
  std::string id;  // with the API's prefix
  int64_t created_s = 0;
  std::string model;
  std::string fingerprint;  // of model and build
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;
};

struct TextLogprob {
  std::string bytes;
  double logprob = 0;
};
// A token of the visible text with its probability and the best ones beside it.
struct LoggedToken : TextLogprob {
  std::vector<TextLogprob> top;
};

// An event with what the server adds: ids of calls are minted before a writer sees them.
struct AnswerEvent {
  int choice = 0;
  OutputEvent event;
  std::string call_id;              // of call events
  std::vector<LoggedToken> logged;  // of content events, when asked for
};

struct ChoiceAnswer {
  Generated generated;              // with the ids of its calls
  std::vector<LoggedToken> logged;  // of all its text
  std::string stop_string;          // which one ended it
};

class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;
  virtual std::string_view stream_type() const = 0;
  virtual std::string keep_alive() const = 0;
  virtual std::string begin(const AnswerFacts& facts) = 0;
  virtual std::string event(const AnswerEvent& event) = 0;
  virtual std::string finished(int choice, const ChoiceAnswer& answer) = 0;
  virtual std::string end(std::span<const ChoiceAnswer> choices) = 0;
  virtual std::string failed(const ApiError& error) = 0;
  virtual json::Value whole(const AnswerFacts& facts, std::span<const ChoiceAnswer> choices) = 0;
  virtual json::Value error(const ApiError& error) = 0;  // in place of an answer
};

// "chatcmpl-" + 128 random bits as hex digits: nobody guesses another's.
std::string mint_id(std::string_view prefix);

// "data: JSON" and a blank line, with "event: NAME" above it unless the name is empty.
std::string sse(std::string_view event, const json::Value& data);

int64_t completion_tokens(const Generated& generated);
// Over all choices.
int64_t completion_tokens(std::span<const ChoiceAnswer> choices);
int64_t reasoning_tokens(std::span<const ChoiceAnswer> choices);
// "stop", "length" or "tool_calls".
std::string_view openai_finish_reason(const Generated& generated);
// {"prompt_tokens", ..., "prompt_cache_hit_tokens", ..., "completion_tokens_details"}
json::Value openai_usage(const AnswerFacts& facts, std::span<const ChoiceAnswer> choices);
// {"token","logprob","bytes","top_logprobs"} of each.
json::Value openai_logprobs(std::span<const LoggedToken> tokens);
// The text of bytes; those that are no whole character as \xNN.
std::string shown_bytes(std::string_view bytes);
std::string text_of(const Message& message);

}  // namespace hadal::api
