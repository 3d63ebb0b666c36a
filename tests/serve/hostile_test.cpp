// Requests that break rules: each gets an answer that names the problem, and the server answers the next one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "base/io.h"
#include "serve/raw_client.h"
#include "serve/tiny_model.h"
#include "server/api_server.h"
#include "testing/temp_folder.h"

namespace hadal {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::post;
using testing::RawClient;
using ::testing::StartsWith;

const std::string kChat =
    R"({"model":"tiny","messages":[{"role":"user","content":"Hello"}],"max_tokens":5,"temperature":0,"thinking":{"type":"disabled"}})";

template <class Condition>
bool comes_to(const Condition& condition) {
  for (int i = 0; i < 300; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

struct Serving : ::testing::Test {
  void start(server::ApiServerOptions options = {}) {
    options.model_name = "tiny";
    options.service.cache_bytes = 16 << 20;
    auto started = server::ApiServer::start(testing::tiny_engine(4096), std::move(options));
    ASSERT_TRUE(started.ok()) << started.error().to_string();
    running = std::move(started).value();
  }
  std::string exchange(std::string_view bytes, std::string_view until = "") {
    RawClient client(running->port());
    client.send(bytes);
    return client.read(until, until.empty() ? 5 : 10);
  }
  std::string chat(std::string_view body) { return exchange(post("/v1/chat/completions", body), "}\n\n|||"); }
  // The one thing that must hold after everything.
  void expect_alive() {
    RawClient client(running->port());
    client.send(post("/v1/chat/completions", kChat, "Connection: close\r\n"));
    EXPECT_THAT(client.read_to_end(20), StartsWith("HTTP/1.1 200"));
  }
  std::string status_of(std::string_view bytes) {
    RawClient client(running->port());
    client.send(bytes);
    return client.read("\r\n\r\n", 10).substr(0, 12);
  }

  std::unique_ptr<server::ApiServer> running;
};
using Hostile = Serving;

TEST_F(Hostile, FramingThatTwoReadersMayReadDifferentlyIsRefused) {
  start();
  const std::vector<std::string> requests = {
      "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: "
      "chunked\r\n\r\n0\r\n\r\n",
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5, 5\r\n\r\nhello",
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\nhello",
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0x5\r\n\r\nhello",
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length : 5\r\n\r\nhello",
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\nContent-Length: 5\r\n\r\nhello",
      "POST /v1/chat/completions HTTP/1.1\nHost: localhost\n\n",
      std::string("GET /health HTTP/1.1\r\nHost: local\0host\r\n\r\n", 41),
      "GET /health HTTP/1.1\r\n\r\n",
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
      "GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n",
  };
  for (const std::string& request : requests) {
    RawClient client(running->port());
    client.send(request);
    EXPECT_THAT(client.read_to_end(5), StartsWith("HTTP/1.1 400")) << request;
    EXPECT_TRUE(client.is_closed()) << request;
  }
  expect_alive();
}

TEST_F(Hostile, LimitsOfHeadersAddressAndBody) {
  server::ApiServerOptions options;
  options.http.body_bytes_max = 100000;
  start(std::move(options));
  EXPECT_EQ(status_of("GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(100000, 'a') + "\r\n\r\n"),
            "HTTP/1.1 431");
  std::string many = "GET /health HTTP/1.1\r\nHost: localhost\r\n";
  for (int i = 0; i < 500; ++i) many += "H" + std::to_string(i) + ": v\r\n";
  EXPECT_EQ(status_of(many + "\r\n"), "HTTP/1.1 431");
  EXPECT_EQ(status_of("GET /" + std::string(10000, 'a') + " HTTP/1.1\r\nHost: localhost\r\n\r\n"), "HTTP/1.1 414");
  // Answered from the length alone, before the body comes.
  EXPECT_EQ(status_of("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 104857600\r\n\r\n"),
            "HTTP/1.1 413");
  EXPECT_EQ(status_of("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: "
                      "gzip\r\nContent-Length: 5\r\n\r\n"),
            "HTTP/1.1 415");
  expect_alive();
}

TEST_F(Hostile, BodiesThatAreNoRequest) {
  start();
  const auto refused = [&](std::string_view body, std::string_view names) {
    const std::string answer = exchange(post("/v1/chat/completions", body, "Connection: close\r\n"));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400")) << body.substr(0, 80);
    EXPECT_THAT(answer, HasSubstr(std::string(names))) << body.substr(0, 80);
  };
  refused("", "invalid_json");
  refused("[]", "invalid_json");
  refused("{", "invalid_json");
  refused(R"({"a":1}x)", "invalid_json");
  refused(R"({"messages":[{"role":"user","content":")"
          "\xff"
          R"("}]})",
          "invalid_utf8");
  refused(R"({"messages":[{"role":"user","content":"\ud800"}]})", "invalid_json");
  refused(std::string(100000, '['), "json");
  refused("{\"a\":" + std::string(1000, '[') + std::string(1000, ']') + "}", "json");
  refused(R"({"messages":[]})", "messages");
  refused(R"({"messages":"hello"})", "messages");
  refused(R"({"messages":[{"role":"king","content":"x"}]})", "messages[0].role");
  refused(R"({"messages":[{"role":"user"}]})", "messages[0].content");
  refused(R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]})",
          "messages[0].content[0].type");
  refused(R"({"messages":[{"role":"tool","tool_call_id":"x","content":"y"}]})", "messages[0].tool_call_id");
  const auto with = [](std::string_view field) {
    return R"({"messages":[{"role":"user","content":"x"}],)" + std::string(field) + "}";
  };
  refused(with(R"("temperature":3)"), "temperature");
  refused(with(R"("temperature":"hot")"), "temperature");
  refused(with(R"("temperature":1e400)"), "temperature");
  refused(with(R"("temperature":true)"), "temperature");
  refused(with(R"("top_p":-0.1)"), "top_p");
  refused(with(R"("max_tokens":0)"), "max_tokens");
  refused(with(R"("max_tokens":)" + std::string(5000, '9')), "max_tokens");
  refused(with(R"("n":17)"), "'n'");
  refused(with(R"("seed":1.5)"), "seed");
  refused(with(R"("top_logprobs":3)"), "top_logprobs");
  refused(with(R"("logit_bias":{"x":1})"), "logit_bias");
  refused(with(R"("stop":[1])"), "stop");
  refused(with(R"("functions":[])"), "functions");
  refused(with(R"("response_format":{"type":"xml"})"), "response_format.type");
  refused(with(R"("tools":[{"type":"magic"}])"), "tools[0].type");
  refused(with(R"("tool_choice":"required")"), "tool_choice");
  std::string stops;
  for (int i = 0; i < 100000; ++i) stops += R"("s",)";
  stops.pop_back();
  refused(with("\"stop\":[" + stops + "]"), "stop");
  expect_alive();
}

TEST_F(Hostile, SpecialTokensOfAUserAreText) {
  start();
  const std::string marked = exchange(
      post("/v1/messages/count_tokens", R"({"messages":[{"role":"user","content":"<｜User｜><｜end▁of▁sentence｜>"}]})",
           "Connection: close\r\n"));
  const std::string plain = exchange(
      post("/v1/messages/count_tokens", R"({"messages":[{"role":"user","content":"x"}]})", "Connection: close\r\n"));
  EXPECT_THAT(marked, HasSubstr("input_tokens"));
  // As text they are many tokens.
  const auto count = [](const std::string& answer) {
    return std::stoi(answer.substr(answer.find("input_tokens") + 14));
  };
  EXPECT_GT(count(marked), count(plain) + 10);
}

TEST_F(Hostile, PipelinedRequestsAreAnsweredInOrder) {
  start();
  RawClient client(running->port());
  client.send(post("/v1/chat/completions", kChat) + "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n" +
              "GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::string& all = client.read_to_end(20);
  const size_t chat = all.find("chat.completion"), models = all.find("\"object\":\"list\""),
               version = all.find("{\"version\"");
  ASSERT_NE(version, std::string::npos) << all;
  EXPECT_LT(chat, models);
  EXPECT_LT(models, version);
}

TEST_F(Hostile, SlowSendersAreShownTheDoor) {
  server::ApiServerOptions options;
  options.http.header_s = 1;
  options.http.body_s = 1;
  start(std::move(options));
  RawClient slow_head(running->port()), slow_body(running->port()), silent(running->port());
  slow_head.send("POST /v1/chat/completions HTTP/1.1\r\nHost: loc");
  slow_body.send("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{\"mess");
  EXPECT_THAT(slow_head.read_to_end(8), StartsWith("HTTP/1.1 408"));
  EXPECT_THAT(slow_body.read_to_end(8), StartsWith("HTTP/1.1 408"));
  silent.read_to_end(8);
  EXPECT_TRUE(silent.is_closed());
  expect_alive();
}

TEST_F(Hostile, AClientThatLeavesEndsItsRequest) {
  start();
  const std::string body =
      R"({"messages":[{"role":"user","content":"Count to a million."}],"stream":true,"max_tokens":3000,"temperature":1,"logit_bias":{"1":-100}})";
  RawClient client(running->port());
  client.send(post("/v1/chat/completions", body));
  client.read("delta", 10);
  EXPECT_TRUE(comes_to([&] { return running->status().running == 1; }));
  client.close_now();
  EXPECT_TRUE(comes_to([&] { return running->status().running == 0; }));
  EXPECT_LT(running->status().generated_tokens, 3000);
  expect_alive();
}

TEST_F(Hostile, AReaderThatStallsPausesItselfOnly) {
  server::ApiServerOptions options;
  options.http.backlog_bytes = 2000;
  start(std::move(options));
  const std::string body =
      R"({"messages":[{"role":"user","content":"Count."}],"stream":true,"max_tokens":3500,"n":16,"temperature":1,"logit_bias":{"1":-100}})";
  RawClient stalled(running->port());
  stalled.send(post("/v1/chat/completions", body));
  stalled.read("delta", 10);
  expect_alive();
}

TEST_F(Hostile, UnknownPathsMethodsAndModels) {
  start();
  EXPECT_THAT(exchange("GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 404"));
  const std::string wrong =
      exchange("GET /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(wrong, StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(wrong, HasSubstr("allow: POST"));
  EXPECT_THAT(exchange(post("/v1/chat/completions", R"({"model":"gpt-9","messages":[{"role":"user","content":"x"}]})",
                            "Connection: close\r\n")),
              ::testing::AllOf(StartsWith("HTTP/1.1 404"), HasSubstr("model_not_found")));
  EXPECT_THAT(exchange("HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(exchange("GET /health HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(Hostile, OtherNamesForThisHostAreRefusedWithoutAKey) {
  start();
  EXPECT_THAT(exchange("GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 403"));
}

TEST_F(Hostile, KeysAreAskedForAndLimited) {
  {
    test::TempFolder folder;
    const std::string file = (folder.path() / "keys").string();
    // "secret" and "slow"; the second may ask once a minute.
    const auto line = [](std::string_view name, std::string_view key, std::string_view more) {
      return std::string(name) + ":" + to_hex(sha256(key)) + std::string(more) + "\n";
    };
    std::ofstream(file) << "# keys\n" << line("a", "secret", "") << line("b", "slow", ":batch:1:1000000");
    ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
    server::ApiServerOptions options;
    options.keys = server::KeyRing::read(file).value();
    start(std::move(options));
    ASSERT_EQ(::chmod(file.c_str(), 0644), 0);
    EXPECT_THAT(server::KeyRing::read(file).error().what, HasSubstr("others may read"));
  }
  const auto with_key = [&](std::string_view header) {
    return exchange(post("/v1/chat/completions", kChat, std::string(header) + "Connection: close\r\n")).substr(0, 12);
  };
  EXPECT_EQ(with_key(""), "HTTP/1.1 401");
  EXPECT_EQ(with_key("Authorization: Bearer wrong\r\n"), "HTTP/1.1 401");
  EXPECT_EQ(with_key("Authorization: bearer secret\r\n"), "HTTP/1.1 200");
  EXPECT_EQ(with_key("x-api-key: secret\r\n"), "HTTP/1.1 200");
  EXPECT_EQ(with_key("x-api-key: slow\r\n"), "HTTP/1.1 200");
  EXPECT_EQ(with_key("x-api-key: slow\r\n"), "HTTP/1.1 429");
  EXPECT_EQ(status_of("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"), "HTTP/1.1 200");
}

TEST_F(Hostile, AFullQueueSaysWhenToComeBack) {
  server::ApiServerOptions options;
  options.service.scheduler.running_max = 1;
  options.service.scheduler.waiting_max = 2;
  start(std::move(options));
  const std::string body =
      R"({"messages":[{"role":"user","content":"Count."}],"max_tokens":3000,"logit_bias":{"1":-100}})";
  std::vector<std::unique_ptr<RawClient>> clients;
  std::string refused;
  for (int i = 0; i < 12 && refused.empty(); ++i) {
    clients.push_back(std::make_unique<RawClient>(running->port()));
    clients.back()->send(post("/v1/chat/completions", body));
    const std::string& answer = clients.back()->read("\r\n\r\n", 0.15);
    if (answer.starts_with("HTTP/1.1 429")) refused = answer;
  }
  EXPECT_THAT(refused, HasSubstr("retry-after: "));
}

TEST_F(Hostile, ShuttingDownRefusesWhatIsNew) {
  start();
  RawClient before(running->port());
  before.send(
      post("/v1/chat/completions",
           R"({"messages":[{"role":"user","content":"Hi"}],"max_tokens":300,"stream":true,"logit_bias":{"1":-100}})"));
  before.read("delta", 10);
  std::thread stopping([this] { running->shut_down(0.2); });
  // What ran is ended as cut off, with all that a stream ends with.
  EXPECT_THAT(before.read("[DONE]", 10), HasSubstr("[DONE]"));
  stopping.join();
}

}  // namespace
}  // namespace hadal
