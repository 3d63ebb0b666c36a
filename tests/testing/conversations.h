// Conversations from JSON, and hashes as the worked examples give them.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "prompt/message.h"
#include "prompt/prompt_encoding.h"

namespace hadal::testing {

// The tool list W of the worked examples.
inline constexpr std::string_view kWeatherTool =
    R"([{"type":"function","function":{"name":"get_weather","description":"Get the weather.","parameters":)"
    R"({"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city"]}}}])";

inline std::vector<Message> conversation(std::string_view json_text) {
  std::vector<Message> messages;
  Result<json::Value> list = json::parse(json_text, "test");
  EXPECT_TRUE(list.ok()) << list.error().to_string();
  if (!list.ok()) return messages;
  for (const json::Value& item : list->items()) {
    Result<Message> message = parse_message(item);
    EXPECT_TRUE(message.ok()) << message.error().to_string();
    if (message.ok()) messages.push_back(*std::move(message));
  }
  return messages;
}

inline Prompt rendered(std::string_view json_text, const PromptOptions& options) {
  Result<Prompt> prompt = render_prompt(conversation(json_text), options);
  EXPECT_TRUE(prompt.ok()) << prompt.error().to_string();
  return prompt.ok() ? *std::move(prompt) : Prompt();
}

inline std::string hash_prefix(std::string_view text) {
  return to_hex(sha256(text)).substr(0, 16);
}

inline const PromptOptions kChatMode{.thinking = ThinkingMode::kChat};
inline const PromptOptions kThinkingMode{.thinking = ThinkingMode::kThinking};
inline const PromptOptions kThinkingKept{.thinking = ThinkingMode::kThinking, .drop_thinking = false};

// Example 4: two calls, results in the wrong order. `more` continues the list: ",{...}".
inline std::string two_calls(std::string_view more = {}) {
  return R"([{"role":"system","content":"Sys.","tools":)" + std::string(kWeatherTool) +
         R"(},{"role":"user","content":"Weather in Paris and Rome?"},)"
         R"({"role":"assistant","reasoning_content":"Call twice.","content":"","tool_calls":[)"
         R"({"id":"c1","type":"function","function":{"name":"get_weather",)"
         R"("arguments":"{\"city\": \"Paris\", \"days\": 2}"}},)"
         R"({"id":"c2","type":"function","function":{"name":"get_weather","arguments":"{\"city\": \"Rome\"}"}}]},)"
         R"({"role":"tool","tool_call_id":"c2","content":"{\"t\": 30}"},)"
         R"({"role":"tool","tool_call_id":"c1","content":"{\"t\": 20}"})" +
         std::string(more) + "]";
}

}  // namespace hadal::testing
