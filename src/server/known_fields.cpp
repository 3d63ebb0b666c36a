#include "server/known_fields.h"

#include <algorithm>
#include <span>

namespace hadal::server {
namespace {

constexpr std::string_view kSampling[] = {"model",
                                          "temperature",
                                          "top_p",
                                          "top_k",
                                          "min_p",
                                          "repetition_penalty",
                                          "presence_penalty",
                                          "frequency_penalty",
                                          "logit_bias",
                                          "seed",
                                          "stop",
                                          "stream",
                                          "user",
                                          "metadata"};
constexpr std::string_view kChat[] = {"messages",
                                      "max_tokens",
                                      "max_completion_tokens",
                                      "n",
                                      "logprobs",
                                      "top_logprobs",
                                      "response_format",
                                      "tools",
                                      "tool_choice",
                                      "parallel_tool_calls",
                                      "stream_options",
                                      "thinking",
                                      "reasoning_effort",
                                      "chat_template_kwargs",
                                      "user_id",
                                      "store",
                                      "service_tier",
                                      "safety_identifier",
                                      "prompt_cache_key",
                                      "prompt_cache_retention",
                                      "prompt_cache_options",
                                      "verbosity",
                                      "moderation",
                                      "functions",
                                      "function_call",
                                      "audio",
                                      "modalities",
                                      "prediction",
                                      "web_search_options",
                                      "logit_processors"};
constexpr std::string_view kCompletions[] = {"prompt",   "suffix", "max_tokens", "echo",
                                             "logprobs", "n",      "best_of",    "stream_options"};
constexpr std::string_view kResponses[] = {
    "input",        "instructions",         "max_output_tokens",   "reasoning",        "text",
    "tools",        "tool_choice",          "parallel_tool_calls", "top_logprobs",     "include",
    "store",        "previous_response_id", "truncation",          "prompt_cache_key", "client_metadata",
    "service_tier", "safety_identifier",    "stream_options",      "background",       "conversation",
    "prompt",       "context_management"};
constexpr std::string_view kMessages[] = {
    "max_tokens",  "messages",       "system",        "thinking",           "output_config", "tools",
    "tool_choice", "stop_sequences", "cache_control", "context_management", "service_tier",  "container",
    "speed",       "inference_geo",  "diagnostics",   "mcp_servers"};

std::span<const std::string_view> fields_of(Api api) {
  switch (api) {
    case Api::kChat:
      return kChat;
    case Api::kCompletions:
      return kCompletions;
    case Api::kResponses:
      return kResponses;
    case Api::kMessages:
      return kMessages;
    case Api::kOllama:
    case Api::kOther:
      break;
  }
  return {};
}

}  // namespace

std::vector<std::string> unknown_fields(Api api, const json::Value& body) {
  const std::span<const std::string_view> own = fields_of(api);
  std::vector<std::string> unknown;
  if (own.empty()) return unknown;
  for (const auto& [name, value] : body.members()) {
    const bool is_known = std::ranges::find(own, name) != own.end() ||
                          std::find(std::begin(kSampling), std::end(kSampling), name) != std::end(kSampling);
    if (!is_known) unknown.push_back(name);
  }
  return unknown;
}

}  // namespace hadal::server
