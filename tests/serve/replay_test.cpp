// A call that the model made comes back from the client: the prompt holds the tokens that were sampled.

#include <gtest/gtest.h>

#include "base/json.h"
#include "serve/raw_client.h"
#include "serve/tiny_model.h"
#include "server/api_server.h"
#include "server/replay_store.h"

namespace hadal {
namespace {

using json::Value;

constexpr std::string_view kTools =
    R"("tools":[{"type":"function","function":{"name":"get_weather","description":"Get the weather.","parameters":)"
    R"({"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}],"temperature":0,"max_tokens":300)";
constexpr std::string_view kQuestion = R"({"role":"user","content":"What is the weather in Paris?"})";

Value chat(uint16_t port, const std::string& messages) {
  testing::RawClient client(port);
  const std::string body = "{\"messages\":[" + messages + "]," + std::string(kTools) + "}";
  client.send(testing::post("/v1/chat/completions", body, "Connection: close\r\n"));
  const std::string& answer = client.read_to_end(30);
  return json::parse(answer.substr(answer.find("\r\n\r\n") + 4), "answer").value();
}

int64_t cached(const Value& answer) {
  return *answer.find("usage")->find("prompt_tokens_details")->find("cached_tokens")->as_int();
}

TEST(Replay, AReformattedCallWithoutItsReasoningIsFoundAgain) {
  server::ApiServerOptions options;
  options.model_name = "tiny";
  options.service.cache_bytes = 64 << 20;
  const auto running = server::ApiServer::start(testing::tiny_engine(4096), std::move(options)).value();
  const Value first = chat(running->port(), std::string(kQuestion));
  const Value& message = *first.find("choices")->items()[0].find("message");
  const Value& call = message.find("tool_calls")->items()[0];
  const int64_t used = *first.find("usage")->find("total_tokens")->as_int();

  const auto back = [&](const std::string& id) {
    return std::string(kQuestion) + R"(,{"role":"assistant","content":"","tool_calls":[{"id":")" + id +
           R"(","type":"function","function":{"name":"get_weather","arguments":"{  \"city\" : \"Paris\" }"}}]},)" +
           R"({"role":"tool","tool_call_id":")" + id + R"(","content":"Sunny"})";
  };
  // All of the first turn but what its last page lacks; another id renders the turn anew, without the reasoning.
  EXPECT_GE(cached(chat(running->port(), back(call.find("id")->as_string()))), used / 128 * 128);
  EXPECT_LT(cached(chat(running->port(), back("call_of_another"))), used / 128 * 128);
}

server::RecordedTurn turn_of(const std::string& id, size_t tokens) {
  server::RecordedTurn turn;
  turn.tokens.assign(tokens, 7);
  turn.message.tool_calls = {{.id = id, .name = "f", .arguments = "{}"}};
  return turn;
}

TEST(ReplayStore, FindsByKeyAndIdAndIsBounded) {
  server::ReplayStore store;
  store.put("a", turn_of("1", 10));
  const Message asked = turn_of("1", 0).message;
  EXPECT_NE(store.find("a", asked), nullptr);
  EXPECT_EQ(store.find("b", asked), nullptr);
  Message other = asked;
  other.content = {{.type = "text", .text = "said differently"}};
  EXPECT_EQ(store.find("a", other), nullptr);
  for (int i = 2; i < 6; ++i) store.put("a", turn_of(std::to_string(i), server::ReplayStore::kTokensMax / 3));
  EXPECT_EQ(store.find("a", asked), nullptr);
  EXPECT_NE(store.find("a", turn_of("5", 0).message), nullptr);
}

}  // namespace
}  // namespace hadal
