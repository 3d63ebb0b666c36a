// What a request for an answer asks, whichever API it came through.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/json.h"
#include "prompt/message.h"
#include "prompt/prompt_encoding.h"
#include "sampling/options.h"
#include "server/api/api_error.h"

namespace hadal::api {

struct ToolChoice {
  enum class Kind { kAuto, kNone, kRequired, kNamed };
  Kind kind = Kind::kAuto;
  std::string name;                  // kNamed
  std::vector<std::string> allowed;  // of kAuto and kRequired; empty: all
};

struct ResponseFormat {
  enum class Kind { kText, kJsonObject, kJsonSchema };
  Kind kind = Kind::kText;
  json::Value schema;
  bool strict = false;
};

// Text that is continued as it is, in place of messages.
struct RawPrompt {
  std::variant<std::string, std::vector<TokenId>> text;
  std::optional<std::string> suffix;  // fill in the middle
};

struct AnswerRequest {
  std::string model;
  std::vector<Message> messages;
  std::optional<RawPrompt> raw;
  json::Value tools;  // OpenAI's list, or null
  ToolChoice tool_choice;
  bool parallel_tool_calls = true;
  ResponseFormat response_format;

  std::optional<bool> thinking;  // absent: the server's default
  ReasoningEffort effort = ReasoningEffort::kNone;
  int effort_level = 0;
  int64_t reasoning_tokens_max = -1;

  SamplingOptions sampling;
  bool has_seed = false;
  int64_t max_tokens = -1;
  std::vector<std::string> stop;
  int n = 1;

  bool stream = false;
  bool include_usage = false;
  bool wants_progress = false;
  bool echo = false;
};

// What absent fields mean.
struct RequestDefaults {
  SamplingOptions sampling;
  int64_t vocab_size = 0;
};

// Shared by the forms: sampling fields of OpenAI's APIs (temperature, top_p, top_k, min_p, repetition_penalty, ...).
class Fields;
std::optional<ApiError> read_sampling(const Fields& fields, const RequestDefaults& defaults, AnswerRequest& request);

// "none", "minimal" to "max", or a level from 1 to 100. Other names, which agents bring from other vendors, are the
// model's own effort.
std::optional<ApiError> read_effort(const json::Value& effort, const std::string& param, AnswerRequest& request);

// Every tool message answers a call of the nearest assistant message, and every call is answered before the next
// message that is no tool's. `param` names the list in errors.
std::optional<ApiError> check_tool_results(const std::vector<Message>& messages, const std::string& param);

// System and developer messages at the front become one system prompt, joined with a line feed.
void join_system_messages(std::vector<Message>& messages);

// OpenAI's list of tools: at most 1,024 functions with distinct names. Tools of other types are refused.
std::optional<ApiError> check_tools(const json::Value& tools);
bool has_tool(const json::Value& tools, std::string_view name);

}  // namespace hadal::api
