#include "server/answer_prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "constrain/tool_grammar.h"
#include "prompt/call_syntax.h"
#include "prompt/markers.h"

namespace hadal::server {
namespace {

using api::AnswerRequest;
using api::ApiError;
using api::ApiResult;
using api::ToolChoice;

uint64_t draw_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

// Tokens that begin another party's turn or stand for nothing in an answer are never drawn, and markup of calls only
// when there are tools to call: what is not drawn cannot leak.
std::vector<TokenId> banned_tokens(const Tokenizer& tokenizer, const LoadedModel& model, bool may_call) {
  std::vector<std::string_view> allowed = {marker::kThink, marker::kEndThink};
  if (may_call) {
    allowed.insert(allowed.end(), {marker::kDsml, marker::kCallsBegin, marker::kCallsEnd, marker::kCallBegin,
                                   marker::kCallEnd, marker::kCallSep});
  }
  std::vector<TokenId> banned;
  const int64_t n = std::min<int64_t>(tokenizer.vocab_size(), model.description.vocab_size);
  for (TokenId id = 0; id < n; ++id) {
    if (!tokenizer.is_added(id) || id == model.description.eos_token_id) continue;
    if (std::ranges::find(allowed, tokenizer.token_bytes(id)) == allowed.end()) banned.push_back(id);
  }
  return banned;
}

// What the answer has to be, as text: the key of its grammar.
std::string grammar_key(const AnswerRequest& request) {
  json::Value key = json::Value::object();
  key.set("choice", json::Value::number(static_cast<int64_t>(request.tool_choice.kind)))
      .set("name", json::Value::string(request.tool_choice.name))
      .set("parallel", json::Value::boolean(request.parallel_tool_calls))
      .set("format", json::Value::number(static_cast<int64_t>(request.response_format.kind)))
      .set("schema", request.response_format.schema)
      .set("strict", json::Value::boolean(request.response_format.strict))
      .set("tools", request.tools);
  return json::dump(key);
}

std::vector<constrain::ToolShape> shapes_of(const AnswerRequest& request) {
  std::vector<constrain::ToolShape> shapes;
  if (request.tool_choice.kind == ToolChoice::Kind::kNone) return shapes;
  for (const json::Value& tool : request.tools.items()) {
    const json::Value& function = *tool.find("function");
    const std::string& name = function.find("name")->as_string();
    if (request.tool_choice.kind == ToolChoice::Kind::kNamed && name != request.tool_choice.name) continue;
    const json::Value* parameters = function.find("parameters");
    const json::Value* strict = function.find("strict");
    shapes.push_back({.name = name,
                      .parameters = parameters == nullptr ? json::Value() : *parameters,
                      .is_strict = strict != nullptr && strict->as_bool()});
  }
  return shapes;
}

constrain::EnvelopeTags tags_of(PromptEncoding encoding, TokenId marker) {
  constrain::EnvelopeTags tags;
  tags.marker = marker;
  if (encoding == PromptEncoding::kV32) tags.block = "function_calls";
  if (encoding == PromptEncoding::kV41) tags.block = " calls", tags.invoke = " invoke", tags.parameter = " parameter";
  return tags;
}

// The grammar of an answer: always when tools are offered, so that markup is well-formed; null when anything goes.
ApiResult<std::shared_ptr<constrain::GrammarMachine>> find_grammar(const AnswerRequest& request,
                                                                   const LoadedModel& model, GrammarCache& grammars) {
  using Kind = ToolChoice::Kind;
  std::shared_ptr<constrain::GrammarMachine> none;
  const std::vector<constrain::ToolShape> shapes = shapes_of(request);
  const bool is_json = request.response_format.kind != api::ResponseFormat::Kind::kText;
  const bool is_forced = request.tool_choice.kind == Kind::kRequired || request.tool_choice.kind == Kind::kNamed;
  if (shapes.empty() && !is_json) return none;
  const std::optional<TokenId> marker = model.tokenizer->added_token(marker::kDsml);
  const bool has_envelope = marker && output_syntax(model.prompt_encoding).calls == CallSyntax::kDsml;
  if (!shapes.empty() && !has_envelope) {
    // V3's calls are found by their tokens, but not forced.
    if (!is_forced && !is_json) return none;
    return ApiError{.status = 400,
                    .code = "unsupported_value",
                    .param = is_forced ? "tool_choice" : "response_format",
                    .message = "this model's markup of calls cannot be forced, or stand beside a response format"};
  }
  constrain::EnvelopeOptions options;
  options.is_forced = is_forced;
  options.is_parallel = request.parallel_tool_calls;
  options.answers_in_json = request.response_format.kind == api::ResponseFormat::Kind::kJsonObject;
  options.answer_schema = request.response_format.schema;
  options.is_answer_strict = request.response_format.strict;
  const auto make = [&] {
    return answer_grammar(tags_of(model.prompt_encoding, marker.value_or(-1)), shapes, options);
  };
  Result<std::shared_ptr<constrain::GrammarMachine>> machine = grammars.get(grammar_key(request), make);
  if (machine.ok()) return std::move(machine).value();
  ApiError error = api::of_error(machine.error());
  error.code = "invalid_json_schema";
  error.param = is_json ? "response_format" : "tools";
  return error;
}

PromptOptions prompt_options(const AnswerRequest& request, const LoadedModel& model, const AnswerDefaults& defaults) {
  PromptOptions options;
  options.encoding = model.prompt_encoding;
  const bool thinks = request.thinking.value_or(defaults.thinking);
  options.thinking = thinks ? ThinkingMode::kThinking : ThinkingMode::kChat;
  if (thinks) {
    options.effort = request.effort;
    options.effort_level = request.effort_level;
  }
  return options;
}

// Models without efforts or without reasoning take what they can: an agent's habit is no reason to refuse it.
void fit_to_encoding(PromptOptions& options) {
  const bool has_efforts = options.encoding == PromptEncoding::kV4Preview ||
                           options.encoding == PromptEncoding::kV4Release0731 ||
                           options.encoding == PromptEncoding::kV41;
  if (!has_efforts) options.effort = ReasoningEffort::kNone;
  if (options.encoding == PromptEncoding::kV4Preview && options.effort != ReasoningEffort::kMax) {
    options.effort = ReasoningEffort::kNone;
  }
  if (options.encoding == PromptEncoding::kV3) options.thinking = ThinkingMode::kChat;
}

// Claude Code puts texts of role system behind what the user said, and the encodings have no place for them there: they
// are what the user says further. Decided by the message before alone, so that a longer conversation begins alike.
std::vector<Message> with_system_in_front(const std::vector<Message>& messages) {
  std::vector<Message> fitted;
  for (const Message& message : messages) {
    const bool is_system = message.role == Role::kSystem || message.role == Role::kDeveloper;
    const bool is_behind_user =
        is_system && !fitted.empty() && (fitted.back().role == Role::kUser || fitted.back().role == Role::kTool);
    if (!is_behind_user) {
      fitted.push_back(message);
    } else if (fitted.back().role == Role::kUser) {
      fitted.back().content.insert(fitted.back().content.end(), message.content.begin(), message.content.end());
    } else {
      fitted.push_back(message);
      fitted.back().role = Role::kUser;
    }
  }
  return fitted;
}

// Puts the sampled tokens of turns that the model made in place of those rendered anew. The turn's borders are added
// tokens on both sides, so they are borders of tokens as well.
void replay_turns(std::span<const Message> messages, const AnswerContext& context, GenerationRequest& prepared) {
  std::vector<TokenId> tokens;
  std::vector<int64_t> ends;
  size_t from = 0;
  for (size_t i = 0; i < messages.size() && i < prepared.message_ends.size(); ++i) {
    const auto end = static_cast<size_t>(prepared.message_ends[i]);
    const bool is_past = messages[i].role == Role::kAssistant && i + 1 < messages.size();
    const auto turn = is_past ? context.replays.find(context.scope, messages[i]) : nullptr;
    if (turn != nullptr) {
      tokens.insert(tokens.end(), turn->tokens.begin(), turn->tokens.end());
    } else {
      tokens.insert(tokens.end(), prepared.prompt.begin() + static_cast<std::ptrdiff_t>(from),
                    prepared.prompt.begin() + static_cast<std::ptrdiff_t>(end));
    }
    from = end;
    ends.push_back(static_cast<int64_t>(tokens.size()));
  }
  tokens.insert(tokens.end(), prepared.prompt.begin() + static_cast<std::ptrdiff_t>(from), prepared.prompt.end());
  prepared.prompt = std::move(tokens);
  prepared.message_ends = std::move(ends);
}

ApiResult<GenerationRequest> prepare_chat(const AnswerRequest& request, const AnswerContext& context) {
  const LoadedModel& model = context.model;
  std::vector<Message> messages = with_system_in_front(request.messages);
  if (!request.tools.is_null()) {
    if (messages.empty() || messages.front().role != Role::kSystem)
      messages.insert(messages.begin(), system_message(""));
    messages.front().tools = request.tools;
  }
  PromptOptions options = prompt_options(request, model, context.defaults);
  fit_to_encoding(options);
  const Result<Prompt> prompt = render_prompt(messages, options);
  if (!prompt.ok()) return api::of_error(prompt.error());
  GenerationRequest prepared;
  prepared.prompt = encode_prompt(*model.tokenizer, *prompt);
  for (const size_t n : message_end_tokens(*model.tokenizer, *prompt, prepared.prompt)) {
    prepared.message_ends.push_back(static_cast<int64_t>(n));
  }
  // Without tools the reasoning of earlier turns is dropped, so they are other tokens.
  if (!request.tools.is_null()) replay_turns(messages, context, prepared);
  prepared.options.starts_in_reasoning = prompt->starts_in_reasoning;
  prepared.options.tools = request.tools;
  prepared.options.reasoning_tokens_max = request.reasoning_tokens_max;
  return prepared;
}

api::ApiResult<GenerationRequest> prepare_raw(const api::RawPrompt& raw, const LoadedModel& model) {
  const Tokenizer& tokenizer = *model.tokenizer;
  GenerationRequest prepared;
  prepared.options.raw = true;
  std::vector<TokenId>& ids = prepared.prompt;
  if (const auto* given = std::get_if<std::vector<TokenId>>(&raw.text)) {
    ids = *given;
    return prepared;
  }
  if (model.description.bos_token_id >= 0) ids.push_back(model.description.bos_token_id);
  const std::string& text = std::get<std::string>(raw.text);
  if (!raw.suffix) {
    tokenizer.encode(text, AddedTokens::kAsText, ids);
    return prepared;
  }
  const auto begin = tokenizer.added_token("<｜fim▁begin｜>"), hole = tokenizer.added_token("<｜fim▁hole｜>"),
             end = tokenizer.added_token("<｜fim▁end｜>");
  if (!begin || !hole || !end) {
    return api::unsupported_parameter("suffix", "this model's tokenizer has no tokens for filling in the middle");
  }
  ids.push_back(*begin);
  tokenizer.encode(text, AddedTokens::kAsText, ids);
  ids.push_back(*hole);
  tokenizer.encode(*raw.suffix, AddedTokens::kAsText, ids);
  ids.push_back(*end);
  return prepared;
}

}  // namespace

GrammarCache::GrammarCache(const LoadedModel& model)
    : trie_(std::make_shared<const constrain::TokenTrie>(*model.tokenizer, model.description.vocab_size)),
      eos_(model.description.eos_token_id) {}

Result<std::shared_ptr<constrain::GrammarMachine>> GrammarCache::get(const std::string& key, const Make& make) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const auto& entry) { return entry.first == key; });
    if (found != kept_.end()) {
      kept_.splice(kept_.begin(), kept_, found);
      return kept_.front().second;
    }
  }
  HADAL_ASSIGN(constrain::Grammar grammar, make());
  auto machine = std::make_shared<constrain::GrammarMachine>(trie_, std::move(grammar), eos_);
  const std::lock_guard lock(mutex_);
  kept_.emplace_front(key, machine);
  if (kept_.size() > kGrammarsMax) kept_.pop_back();
  return machine;
}

ApiResult<GenerationRequest> prepare_answer(const AnswerRequest& request, const AnswerContext& context) {
  const LoadedModel& model = context.model;
  HADAL_API_ASSIGN(std::shared_ptr<constrain::GrammarMachine> grammar, find_grammar(request, model, context.grammars));
  HADAL_API_ASSIGN(GenerationRequest prepared,
                   request.raw ? prepare_raw(*request.raw, model) : prepare_chat(request, context));
  prepared.n = request.n;
  GenerationOptions& options = prepared.options;
  options.sampling = request.sampling;
  if (!request.has_seed) options.sampling.seed = draw_seed();
  options.max_tokens = request.max_tokens;
  options.stop = request.stop;
  options.grammar = std::move(grammar);
  const bool may_call = !request.raw && !request.tools.is_null() && request.tool_choice.kind != ToolChoice::Kind::kNone;
  options.banned = banned_tokens(*model.tokenizer, model, may_call);
  return prepared;
}

}  // namespace hadal::server
