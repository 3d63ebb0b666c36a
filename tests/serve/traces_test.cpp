// How much of agents' prompts the prefix cache finds again: traces of conversations that grow, are edited, fan out,
// drop their reasoning, or begin with a line that changes.
//
// A line of a trace changes one conversation (set, replace, truncate, append, drop_reasoning_before_last_user) and
// sends it whole; neighbouring lines of one group are sent at the same time. The ideal is the longest common prefix
// with any earlier request.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/io.h"
#include "engine/service/service_loop.h"
#include "serve/tiny_model.h"
#include "server/answer_prompt.h"
#include "server/api/chat_completions.h"
#include "server/api/messages.h"

namespace hadal {
namespace {

using json::Value;

struct Conversation {
  std::string endpoint = "/v1/chat/completions";
  Value body;
};

void drop_reasoning(json::Array& messages) {
  size_t last_user = 0;
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].find("role")->as_string() == "user") last_user = i;
  }
  for (size_t i = 0; i < last_user; ++i) {
    std::erase_if(messages[i].members(), [](const auto& member) { return member.first == "reasoning_content"; });
  }
}

Value* member(Value& object, std::string_view key) {
  for (auto& [name, value] : object.members()) {
    if (name == key) return &value;
  }
  return nullptr;
}

void apply(const Value& line, Conversation& conversation) {
  if (const Value* set = line.find("set")) conversation.body = *set;
  if (const Value* endpoint = line.find("endpoint")) conversation.endpoint = endpoint->as_string();
  json::Array& messages = member(conversation.body, "messages")->items();
  if (const Value* replace = line.find("replace")) {
    for (const Value& one : replace->items()) {
      messages[static_cast<size_t>(*one.find("index")->as_int())].set("content", *one.find("message_content"));
    }
  }
  if (const Value* truncate = line.find("truncate")) messages.resize(static_cast<size_t>(*truncate->as_int()));
  if (const Value* append = line.find("append")) {
    messages.insert(messages.end(), append->items().begin(), append->items().end());
  }
  const Value* drops = line.find("drop_reasoning_before_last_user");
  if (drops != nullptr && drops->as_bool()) drop_reasoning(messages);
}

GenerationRequest request_of(const Conversation& conversation) {
  Value body = conversation.body;
  body.set("max_tokens", Value::number(int64_t{4})).set("temperature", Value::number(int64_t{0}));
  api::RequestDefaults defaults;
  defaults.vocab_size = testing::tiny_model()->description.vocab_size;
  const bool is_anthropic = conversation.endpoint == "/v1/messages";
  auto parsed = is_anthropic ? api::parse_messages(body, defaults, false) : api::parse_chat_completion(body, defaults);
  EXPECT_TRUE(parsed.ok()) << parsed.error().message;
  if (parsed->tools.is_array()) parsed->tool_choice.kind = api::ToolChoice::Kind::kNone;
  static server::GrammarCache grammars(*testing::tiny_model());
  static server::ReplayStore replays;
  const server::AnswerDefaults answers;
  const std::string scope = "k";
  auto prepared = server::prepare_answer(
      *parsed,
      {.model = *testing::tiny_model(), .defaults = answers, .grammars = grammars, .replays = replays, .scope = scope});
  EXPECT_TRUE(prepared.ok()) << prepared.error().message;
  prepared->key = "k";
  prepared->scope = "k";
  return std::move(prepared).value();
}

struct Sink final : AnswerSink {
  void started(const CacheDecision& decision) override { cache = decision; }
  void event(int, const OutputEvent&) override {}
  void finished(int, const Generated& g) override { generated = g; }
  void failed(const Error& error) override { ADD_FAILURE() << error.to_string(); }
  CacheDecision cache;
  Generated generated;
};

struct Outcome {
  int64_t prompt = 0, reused = 0, ideal = 0;
  double share() const { return static_cast<double>(reused) / static_cast<double>(ideal); }
};

int64_t common_prefix(const std::vector<TokenId>& a, const std::vector<TokenId>& b) {
  const auto n = static_cast<std::ptrdiff_t>(std::min(a.size(), b.size()));
  return std::mismatch(a.begin(), a.begin() + n, b.begin()).first - a.begin();
}

Outcome replay(const std::string& name, bool checks_tokens) {
  const std::string path = std::string(HADAL_SOURCE_DIR) + "/tests/data/traces/" + name + ".jsonl";
  const std::string text = read_file(path, 1 << 24).value();
  ServiceOptions options;
  options.cache_bytes = uint64_t{2} << 30;
  ServiceLoop loop(testing::tiny_engine(65536), options);
  std::map<std::string, Conversation> conversations;
  std::vector<std::vector<TokenId>> sent;
  Outcome outcome;
  std::vector<std::pair<GenerationRequest, std::shared_ptr<Sink>>> batch;
  RequestId id = 0;

  const auto run_batch = [&] {
    for (const auto& [request, sink] : batch) loop.add(++id, request, sink);
    while (loop.step()) {
    }
    for (const auto& [request, sink] : batch) {
      int64_t ideal = 0;
      for (const auto& earlier : sent) ideal = std::max(ideal, common_prefix(earlier, request.prompt));
      outcome.ideal += ideal;
      outcome.prompt += static_cast<int64_t>(request.prompt.size());
      outcome.reused += sink->cache.reused_tokens;
      sent.push_back(request.prompt);
      if (!checks_tokens) continue;
      ServiceLoop cold(testing::tiny_engine(65536), {});
      auto alone = std::make_shared<Sink>();
      cold.add(1, request, alone);
      while (cold.step()) {
      }
      EXPECT_EQ(alone->generated.tokens, sink->generated.tokens) << name << ", request " << sent.size();
    }
    batch.clear();
  };

  std::optional<int64_t> group;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const Value line = json::parse(std::string_view(text).substr(begin, end - begin), name).value();
    begin = end + 1;
    const Value* number = line.find("group");
    const std::optional<int64_t> next = number == nullptr ? std::nullopt : number->as_int();
    if (!next || next != group) run_batch();
    group = next;
    Conversation& conversation = conversations[json::dump(*line.find("conv"))];
    apply(line, conversation);
    batch.emplace_back(request_of(conversation), std::make_shared<Sink>());
  }
  run_batch();
  ::testing::Test::RecordProperty(name, std::to_string(outcome.share()));
  std::printf("%s: %lld prompt tokens, reused / ideal %.4f\n", name.c_str(), static_cast<long long>(outcome.prompt),
              outcome.share());
  return outcome;
}

TEST(TracesSlow, growing) {
  EXPECT_GE(replay("growing", false).share(), 0.97);
}
TEST(TracesSlow, edited) {
  EXPECT_GE(replay("edited", false).share(), 0.94);
}
TEST(TracesSlow, sub_agents) {
  EXPECT_GE(replay("sub_agents", false).share(), 0.94);
}
TEST(TracesSlow, dropped_reasoning) {
  EXPECT_GE(replay("dropped_reasoning", false).share(), 0.94);
}
TEST(TracesSlow, volatile_line) {
  EXPECT_GE(replay("volatile_line", false).share(), 0.93);
}

// Every answer of a trace from the cache is what it is cold.
TEST(TracesSlow, EditedAnswersAreTheSameCold) {
  EXPECT_GE(replay("edited", true).share(), 0.94);
}

}  // namespace
}  // namespace hadal
