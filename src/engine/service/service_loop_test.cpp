#include "engine/service/service_loop.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/check.h"

namespace hadal {
namespace {

std::shared_ptr<const LoadedModel> tiny_model() {
  static const std::shared_ptr<const LoadedModel> kModel = [] {
    Result<ModelFiles> files = ModelFiles::open(std::string(HADAL_SOURCE_DIR) + "/models/v4-tiny");
    HADAL_CHECK(files.ok(), files.error().to_string());
    auto model = LoadedModel::open(std::move(files).value());
    HADAL_CHECK(model.ok(), model.error().to_string());
    return std::move(model).value();
  }();
  return kModel;
}

struct Recorder final : AnswerSink {
  void started(const CacheDecision& decision) override { cache = decision; }
  void event(int choice, const OutputEvent& event) override { text[choice] += event.text; }
  void finished(int choice, const Generated& generated) override {
    EXPECT_EQ(answers.count(choice), 0u) << "finished twice";
    answers.emplace(choice, generated);
  }
  void failed(const Error& e) override { error = e; }

  std::optional<CacheDecision> cache;
  std::map<int, std::string> text;
  std::map<int, Generated> answers;
  std::optional<Error> error;
};

// Texts of many tokens, in which every word counts.
std::vector<TokenId> prompt_of(int seed, int words) {
  static constexpr std::string_view kWords[] = {"river ", "house ", "seven ", "light ", "stone ", "quick ", "paper "};
  std::string text;
  auto x = static_cast<uint32_t>(seed);
  for (int i = 0; i < words; ++i) {
    x = x * 1664525u + 1013904223u;
    text += kWords[(x >> 16) % std::size(kWords)];
  }
  std::vector<TokenId> ids = {0};
  tiny_model()->tokenizer->encode(text, AddedTokens::kAsText, ids);
  return ids;
}

GenerationRequest request_of(std::vector<TokenId> prompt, int64_t tokens, std::string scope = "s") {
  GenerationRequest request;
  request.key = scope;
  request.scope = std::move(scope);
  request.prompt = std::move(prompt);
  request.options.raw = true;
  request.options.max_tokens = tokens;
  request.options.sampling.temperature = 1;
  request.options.sampling.seed = 11;
  request.options.banned = {tiny_model()->description.eos_token_id};  // every answer has its full length
  return request;
}

struct ServiceFixture : ::testing::Test {
  void make(int64_t chunk = 256, uint64_t memory = 0, uint64_t cache = 64 << 20, int64_t running_max = 64) {
    EngineOptions options;
    options.context_tokens = 4096;
    options.chunk_tokens = chunk;
    options.n_threads = 2;
    options.checkpoint_spacing_tokens = 2048;
    ServiceOptions service;
    service.cache_bytes = cache;
    service.scheduler.memory_bytes = memory;
    service.scheduler.running_max = running_max;
    service.scheduler.reserved_tokens_max = 8;
    loop = std::make_unique<ServiceLoop>(Engine::create(tiny_model(), options).value(), service);
  }
  std::shared_ptr<Recorder> add(GenerationRequest request) {
    auto recorder = std::make_shared<Recorder>();
    loop->add(++last_id, std::move(request), recorder);
    return recorder;
  }
  void run() {
    while (loop->step()) {
    }
  }
  std::shared_ptr<Recorder> answer(GenerationRequest request) {
    auto recorder = add(std::move(request));
    run();
    return recorder;
  }
  std::vector<TokenId> tokens_alone(const GenerationRequest& request) {
    make();
    return answer(request)->answers.at(0).tokens;
  }

  std::unique_ptr<ServiceLoop> loop;
  RequestId last_id = 0;
};
using Service = ServiceFixture;

TEST_F(Service, TokensAreTheSameAloneTogetherAndFromTheCache) {
  std::vector<GenerationRequest> requests;
  std::vector<std::vector<TokenId>> alone;
  for (int i = 0; i < 8; ++i) {
    requests.push_back(request_of(prompt_of(i, 40 + 60 * i), 20));
    alone.push_back(tokens_alone(requests.back()));
  }
  make(64);
  for (int round = 0; round < 2; ++round) {  // the second from the cache
    std::vector<std::shared_ptr<Recorder>> recorders;
    for (const GenerationRequest& request : requests) recorders.push_back(add(request));
    run();
    for (size_t i = 0; i < requests.size(); ++i) {
      ASSERT_FALSE(recorders[i]->error) << recorders[i]->error->to_string();
      EXPECT_EQ(recorders[i]->answers.at(0).tokens, alone[i]) << "round " << round << ", request " << i;
      if (round == 1 && requests[i].prompt.size() > 256) {
        EXPECT_GE(recorders[i]->cache->reused_tokens, 128);
      }
    }
  }
  EXPECT_TRUE(loop->is_empty());
  EXPECT_EQ(loop->status().running, 0);
}

TEST_F(Service, AnEditReplaysAtMostAPageFromItsSecondTimeOn) {
  make();
  const std::vector<TokenId> base = prompt_of(1, 500);
  answer(request_of(base, 2));
  for (int turn = 0; turn < 3; ++turn) {
    std::vector<TokenId> edited = base;
    edited[300] = 100 + turn;
    const auto recorder = answer(request_of(edited, 4));
    EXPECT_EQ(recorder->cache->matched_tokens, 300);
    if (turn > 0) {
      EXPECT_EQ(recorder->cache->reused_tokens, 256) << turn;
    }
    const std::vector<TokenId> here = recorder->answers.at(0).tokens;
    auto kept = std::move(loop);
    EXPECT_EQ(here, tokens_alone(request_of(edited, 4)));
    loop = std::move(kept);
  }
}

TEST_F(Service, MessageEndsAreReusedAtOnce) {
  make();
  std::vector<TokenId> prompt = prompt_of(5, 600);
  GenerationRequest request = request_of(prompt, 2);
  request.message_ends = {150, 300, 450};
  answer(request);
  prompt.resize(310);
  for (int i = 0; i < 200; ++i) prompt.push_back(50 + i % 40);
  EXPECT_EQ(answer(request_of(prompt, 2))->cache->reused_tokens, 256);
  prompt.resize(160);
  prompt.push_back(7);
  EXPECT_EQ(answer(request_of(prompt, 2))->cache->reused_tokens, 128);
}

TEST_F(Service, TheReplyIsPartOfTheNextPrompt) {
  make();
  const std::vector<TokenId> first = prompt_of(2, 100);
  const auto reply = answer(request_of(first, 300));
  std::vector<TokenId> next = first;
  const std::vector<TokenId>& tokens = reply->answers.at(0).tokens;
  next.insert(next.end(), tokens.begin(), tokens.end());
  const auto reused_max = static_cast<int64_t>(next.size());
  next.push_back(9);
  EXPECT_GE(answer(request_of(next, 2))->cache->reused_tokens, reused_max - 128);
}

TEST_F(Service, ScopesNeverShare) {
  make();
  const std::vector<TokenId> prompt = prompt_of(3, 500);
  answer(request_of(prompt, 2, "a"));
  const auto other = answer(request_of(prompt, 2, "b"));
  EXPECT_EQ(other->cache->matched_tokens, 0);
  EXPECT_EQ(other->cache->end, PrefixEnd::kNothingStored);
}

TEST_F(Service, TheSamePrefixAtTheSameTimeIsComputedOnce) {
  make(64);
  const std::vector<TokenId> shared = prompt_of(4, 800);
  std::vector<std::shared_ptr<Recorder>> recorders;
  for (int i = 0; i < 8; ++i) {
    std::vector<TokenId> prompt = shared;
    for (int k = 0; k < 50; ++k) prompt.push_back(100 + (i * 37 + k) % 300);
    recorders.push_back(add(request_of(prompt, 3)));
  }
  run();
  const int64_t floor = static_cast<int64_t>(shared.size()) / 128 * 128;
  for (size_t i = 1; i < recorders.size(); ++i) {
    ASSERT_TRUE(recorders[i]->cache) << i;
    EXPECT_GE(recorders[i]->cache->reused_tokens, floor) << i;
  }
}

TEST_F(Service, SeveralAnswersShareOnePrompt) {
  GenerationRequest request = request_of(prompt_of(6, 200), 12);
  const std::vector<TokenId> alone = tokens_alone(request);
  make();
  request.n = 4;
  const auto recorder = answer(request);
  ASSERT_EQ(recorder->answers.size(), 4u);
  EXPECT_EQ(recorder->answers.at(0).tokens, alone);
  EXPECT_NE(recorder->answers.at(1).tokens, alone);
  for (int choice = 1; choice < 4; ++choice) {
    GenerationRequest one = request;
    one.n = 1;
    one.options.sampling.seed = branch_seed(11, choice);
    EXPECT_EQ(answer(one)->answers.at(0).tokens, recorder->answers.at(choice).tokens) << choice;
  }
}

TEST_F(Service, WhoGivesWayGoesOnWithTheSameTokens) {
  std::vector<std::vector<TokenId>> alone;
  std::vector<GenerationRequest> requests;
  for (int i = 0; i < 3; ++i) {
    requests.push_back(request_of(prompt_of(20 + i, 150), 200));
    alone.push_back(tokens_alone(requests.back()));
  }
  const StateLayout& layout = loop->engine().layout();
  // Room for two prompts and a third of their answers.
  const auto tokens = static_cast<int64_t>(requests[0].prompt.size()) + 70;
  const auto one = layout.tail_bytes + layout.page_bytes + tokens * layout.page_bytes / layout.page_tokens;
  make(64, static_cast<uint64_t>(2 * one));
  std::vector<std::shared_ptr<Recorder>> recorders;
  for (const GenerationRequest& request : requests) recorders.push_back(add(request));
  run();
  EXPECT_GT(loop->status().preemptions, 0);
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_FALSE(recorders[i]->error) << recorders[i]->error->to_string();
    EXPECT_EQ(recorders[i]->answers.at(0).tokens, alone[i]) << i;
  }
}

TEST_F(Service, CancelEndsEveryState) {
  make(64, 0, 64 << 20, 2);
  GenerationRequest several = request_of(prompt_of(7, 600), 1000);
  several.n = 3;
  const auto in_prompt = add(several);
  const auto answering = add(request_of(prompt_of(8, 20), 1000));
  const auto waiting = add(request_of(prompt_of(9, 20), 1000));
  for (int i = 0; i < 4; ++i) loop->step();
  for (RequestId id = 1; id <= 3; ++id) loop->cancel(id);
  EXPECT_TRUE(loop->is_empty());
  EXPECT_EQ(in_prompt->answers.size(), 3u);
  EXPECT_EQ(answering->answers.at(0).finish_reason, FinishReason::kCancelled);
  EXPECT_GT(answering->answers.at(0).usage.generated_tokens, 0);
  EXPECT_EQ(waiting->answers.at(0).finish_reason, FinishReason::kCancelled);
  EXPECT_FALSE(loop->step());
}

TEST_F(Service, AFullCacheStillAnswersRight) {
  const GenerationRequest request = request_of(prompt_of(30, 400), 8);
  const std::vector<TokenId> alone = tokens_alone(request);
  make(64, 0, 1 << 20);
  for (int i = 0; i < 10; ++i) answer(request_of(prompt_of(40 + i, 400), 2));
  EXPECT_LE(loop->status().cache.bytes, uint64_t{1} << 20);
  EXPECT_EQ(answer(request)->answers.at(0).tokens, alone);
}

TEST_F(Service, RefusesWhatCannotRun) {
  make();
  GenerationRequest request = request_of(prompt_of(1, 10), 5);
  request.n = 17;
  EXPECT_EQ(check_request(request, loop->engine()).error().in, "n");
  request = request_of(std::vector<TokenId>(5000, 5), 5);
  EXPECT_EQ(check_request(request, loop->engine()).error().code, ErrorCode::kLimit);
  request = request_of({}, 5);
  EXPECT_FALSE(check_request(request, loop->engine()).ok());
  request = request_of(prompt_of(1, 10), 5);
  request.options.sampling.temperature = 3;
  EXPECT_FALSE(check_request(request, loop->engine()).ok());
}

// Through the thread.
TEST(GenerationService, ManyThreadsSubmitAndCancel) {
  EngineOptions options;
  options.context_tokens = 1024;
  options.n_threads = 2;
  ServiceOptions service_options;
  service_options.cache_bytes = 16 << 20;
  auto service = GenerationService::start(Engine::create(tiny_model(), options).value(), service_options).value();
  std::vector<std::shared_ptr<Recorder>> recorders;
  for (int i = 0; i < 12; ++i) {
    recorders.push_back(std::make_shared<Recorder>());
    const RequestId id = service->submit(request_of(prompt_of(i, 30), 10), recorders.back()).value();
    if (i % 3 == 2) service->cancel(id);
  }
  EXPECT_TRUE(service->drain(60));
  EXPECT_EQ(service->submit(request_of(prompt_of(0, 3), 1), recorders[0]).error().code, ErrorCode::kCancelled);
  for (const auto& recorder : recorders) EXPECT_EQ(recorder->answers.size(), 1u);
  EXPECT_EQ(service->status().running, 0);
}

}  // namespace
}  // namespace hadal
