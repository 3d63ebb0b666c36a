#include "conversation.h"

#include <random>

namespace hadal::cli {
namespace {

PromptOptions prompt_options(const Conversation& conversation, PromptEncoding encoding) {
  using Think = ChatCommand::Think;
  PromptOptions options;
  options.encoding = encoding;
  options.thinking = conversation.think == Think::kOff ? ThinkingMode::kChat : ThinkingMode::kThinking;
  options.effort_level = conversation.effort_level;
  if (conversation.think == Think::kLow) options.effort = ReasoningEffort::kLow;
  if (conversation.think == Think::kHigh) options.effort = ReasoningEffort::kHigh;
  if (conversation.think == Think::kMax) options.effort = ReasoningEffort::kMax;
  return options;
}

uint64_t draw_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

}  // namespace

Result<Prompt> Conversation::render(PromptEncoding encoding) const {
  std::vector<Message> all;
  if (!system.empty() || !tools.is_null()) {
    all.push_back(system_message(system));
    all.back().tools = tools;
  }
  all.insert(all.end(), messages.begin(), messages.end());
  return render_prompt(all, prompt_options(*this, encoding));
}

// The reader of messages has the rules.
Result<void> check_tools(const json::Value& tools) {
  json::Value message = json::Value::object();
  message.set("role", json::Value::string("system"));
  message.set("content", json::Value::string(""));
  message.set("tools", tools);
  HADAL_TRY(parse_message(message));
  return {};
}

std::string think_name(const Conversation& conversation) {
  if (conversation.effort_level > 0) return std::to_string(conversation.effort_level);
  switch (conversation.think) {
    case ChatCommand::Think::kOff:
      return "off";
    case ChatCommand::Think::kOn:
      return "on";
    case ChatCommand::Think::kLow:
      return "low";
    case ChatCommand::Think::kHigh:
      return "high";
    case ChatCommand::Think::kMax:
      return "max";
  }
  return "?";
}

GenerationOptions generation_options(const ChatSettings& settings) {
  GenerationOptions options;
  options.sampling = settings.sampling;
  options.sampling.seed = settings.seed ? *settings.seed : draw_seed();
  options.max_tokens = settings.max_tokens;
  options.stop = settings.stop;
  return options;
}

Result<Generated> answer(Engine& engine, SequenceId id, Conversation& conversation, const ChatSettings& settings,
                         const GenerationControl& control, GenerationObserver& observer) {
  HADAL_TRY(check_tokenizer(engine.model()));
  HADAL_ASSIGN(const Prompt prompt, conversation.render(engine.model().prompt_encoding));
  GenerationOptions options = generation_options(settings);
  options.starts_in_reasoning = prompt.starts_in_reasoning;
  options.tools = conversation.tools;
  const std::vector<TokenId> ids = encode_prompt(*engine.model().tokenizer, prompt);
  HADAL_ASSIGN(Generated generated, generate(engine, id, ids, options, control, observer));
  conversation.messages.push_back(generated.message);
  return generated;
}

Result<Generated> complete(Engine& engine, SequenceId id, std::string_view text, const ChatSettings& settings,
                           const GenerationControl& control, GenerationObserver& observer) {
  HADAL_TRY(check_tokenizer(engine.model()));
  GenerationOptions options = generation_options(settings);
  options.raw = true;
  std::vector<TokenId> ids;
  const int32_t bos = engine.model().description.bos_token_id;
  if (bos >= 0) ids.push_back(bos);
  engine.model().tokenizer->encode(text, AddedTokens::kAsText, ids);
  return generate(engine, id, ids, options, control, observer);
}

}  // namespace hadal::cli
