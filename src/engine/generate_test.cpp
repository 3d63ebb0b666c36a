#include "engine/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/check.h"
#include "prompt/prompt_encoding.h"

namespace hadal {
namespace {

using ::testing::HasSubstr;

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

// Joins what an answer reports.
class Recorder final : public GenerationObserver {
 public:
  void prompt_progress(int64_t done, int64_t total) override { progress.emplace_back(done, total); }
  void token(const Sampled& sampled, bool) override { tokens.push_back(sampled); }
  void event(const OutputEvent& event) override {
    using Kind = OutputEvent::Kind;
    if (event.kind == Kind::kReasoning) reasoning += event.text;
    if (event.kind == Kind::kContent) content += event.text;
    if (event.kind == Kind::kCallBegin) calls += event.text;
    if (event.kind == Kind::kCallArguments) calls += event.text;
  }

  std::vector<std::pair<int64_t, int64_t>> progress;
  std::vector<Sampled> tokens;
  std::string reasoning, content, calls;
};

EngineOptions engine_options() {
  EngineOptions options;
  options.mode = NumericMode::kExact;
  options.context_tokens = 1024;
  options.chunk_tokens = 64;
  return options;
}

struct Fixture : ::testing::Test {
  Fixture() : engine(Engine::create(tiny_model(), engine_options())) {
    HADAL_CHECK(engine.ok(), engine.error().to_string());
    id = engine->open().value();
    options.sampling.temperature = 0;
  }

  std::vector<TokenId> encode(const std::vector<Message>& messages, ThinkingMode thinking = ThinkingMode::kChat) {
    const Prompt prompt = render_prompt(messages, {.thinking = thinking}).value();
    options.starts_in_reasoning = prompt.starts_in_reasoning;
    return encode_prompt(*tiny_model()->tokenizer, prompt);
  }

  Result<Generated> answer(const std::vector<TokenId>& prompt) {
    recorder = Recorder();
    double clock_s = 0;
    const GenerationControl control{.now_s = [&] { return clock_s += 1.0; }, .is_cancelled = is_cancelled};
    return generate(*engine, id, prompt, options, control, recorder);
  }

  Result<Engine> engine;
  SequenceId id = 0;
  GenerationOptions options;
  std::function<bool()> is_cancelled;
  Recorder recorder;
};

using Generate = Fixture;

const Message kCapital = user_message("What is the capital of France?");

json::Value weather_tools() {
  return json::parse(
             R"([{"type":"function","function":{"name":"get_weather","description":"Get the current weather of a city",
    "parameters":{"type":"object","properties":{"city":{"type":"string","description":"The city name"}},"required":["city"]}}},
    {"type":"function","function":{"name":"calculator","description":"Evaluate an arithmetic expression",
    "parameters":{"type":"object","properties":{"expression":{"type":"string","description":"The expression"}},"required":["expression"]}}}])",
             "tools")
      .value();
}

TEST_F(Generate, greedy_answers_as_the_golden_and_stops_at_the_end_marker) {
  const Generated answered = answer(encode({kCapital})).value();
  EXPECT_EQ(answered.message.text(), "The capital of France is Paris.");
  EXPECT_EQ(answered.finish_reason, FinishReason::kStop);
  EXPECT_EQ(answered.usage.prompt_tokens, 13);
  EXPECT_EQ(answered.usage.cached_tokens, 0);
  EXPECT_EQ(answered.usage.generated_tokens, static_cast<int64_t>(recorder.tokens.size()));
  EXPECT_EQ(recorder.content, answered.message.text());
}

TEST_F(Generate, times_come_from_the_clock_that_is_passed_in) {
  const Generated answered = answer(encode({kCapital})).value();
  EXPECT_DOUBLE_EQ(answered.usage.prompt_s, 1.0);
  EXPECT_DOUBLE_EQ(answered.usage.generate_s, static_cast<double>(answered.usage.generated_tokens - 1));
  EXPECT_DOUBLE_EQ(answered.usage.generated_tokens_per_s(), 1.0);
}

TEST_F(Generate, reasoning_is_apart_from_the_answer_and_counted) {
  const Generated answered =
      answer(encode({user_message("Ada has 43 marbles and gives away 6. How many marbles are left?")},
                    ThinkingMode::kThinking))
          .value();
  EXPECT_THAT(answered.message.reasoning_content, HasSubstr("43 - 6"));
  EXPECT_THAT(answered.message.text(), HasSubstr("37"));
  EXPECT_EQ(recorder.reasoning, answered.message.reasoning_content);
  EXPECT_GT(answered.usage.reasoning_tokens, 10);
  EXPECT_LT(answered.usage.reasoning_tokens, answered.usage.generated_tokens);
}

TEST_F(Generate, a_tool_call_arrives_parsed_and_no_markup_is_visible) {
  Message system = system_message("You are a helpful assistant.");
  system.tools = weather_tools();
  options.tools = system.tools;
  const Generated answered = answer(encode({system, user_message("What is the weather in Paris?")})).value();
  ASSERT_EQ(answered.message.tool_calls.size(), 1u);
  EXPECT_EQ(answered.message.tool_calls[0].name, "get_weather");
  EXPECT_EQ(json::parse(answered.message.tool_calls[0].arguments, "arguments").value(),
            json::parse(R"({"city":"Paris"})", "want").value());
  EXPECT_EQ(answered.message.text(), "");
  EXPECT_EQ(recorder.calls, "get_weather" + answered.message.tool_calls[0].arguments);
}

TEST_F(Generate, a_stop_string_is_cut_off_with_all_that_follows) {
  options.stop = {" is Par"};
  const Generated answered = answer(encode({kCapital})).value();
  EXPECT_EQ(answered.message.text(), "The capital of France");
  EXPECT_EQ(recorder.content, "The capital of France");
  EXPECT_EQ(answered.finish_reason, FinishReason::kStopString);
}

TEST_F(Generate, what_only_began_like_a_stop_string_is_not_lost) {
  options.stop = {"Paris.\nNever"};
  EXPECT_EQ(answer(encode({kCapital}))->message.text(), "The capital of France is Paris.");
  EXPECT_EQ(recorder.content, "The capital of France is Paris.");
}

TEST_F(Generate, max_tokens_ends_with_length) {
  options.max_tokens = 3;
  const Generated answered = answer(encode({kCapital})).value();
  EXPECT_EQ(answered.usage.generated_tokens, 3);
  EXPECT_EQ(answered.finish_reason, FinishReason::kLength);
}

TEST_F(Generate, an_answer_ends_with_length_where_the_context_is_full) {
  options.raw = true;
  const std::vector<TokenId> prompt(1020, 100);
  const Generated answered = answer(prompt).value();
  EXPECT_EQ(answered.finish_reason, FinishReason::kLength);
  // The last token needs no place: nothing is computed behind it.
  EXPECT_EQ(answered.usage.generated_tokens, 5);
}

TEST_F(Generate, a_prompt_longer_than_the_context_says_both_lengths) {
  const Result<Generated> answered = answer(std::vector<TokenId>(1025, 100));
  ASSERT_FALSE(answered.ok());
  EXPECT_EQ(answered.error().code, ErrorCode::kLimit);
  EXPECT_EQ(answered.error().want, "at most 1024 tokens");
  EXPECT_EQ(answered.error().found, "1025 tokens");
  EXPECT_THAT(answered.error().hint, HasSubstr("--context"));
}

TEST_F(Generate, an_empty_prompt_is_refused) {
  EXPECT_EQ(answer({}).error().code, ErrorCode::kInvalid);
}

TEST_F(Generate, cancelling_between_steps_keeps_what_was_said) {
  int n_asked = 0;
  is_cancelled = [&] { return ++n_asked > 4; };
  const Generated answered = answer(encode({kCapital})).value();
  EXPECT_EQ(answered.finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(answered.usage.generated_tokens, 4);
  EXPECT_TRUE(std::string("The capital of France is Paris.").starts_with(answered.message.text()));
}

TEST_F(Generate, an_answer_after_a_cancelled_prompt_is_the_same) {
  const std::vector<TokenId> prompt = encode({system_message(std::string(900, 'x')), kCapital});
  ASSERT_GT(prompt.size(), 64u);
  const Generated whole = answer(prompt).value();
  id = engine->open().value();
  int n_asked = 0;
  is_cancelled = [&] { return ++n_asked > 1; };
  EXPECT_EQ(answer(prompt)->finish_reason, FinishReason::kCancelled);
  is_cancelled = nullptr;
  EXPECT_EQ(answer(prompt)->message, whole.message);
}

TEST_F(Generate, a_second_turn_reuses_the_first_and_answers_as_a_fresh_sequence) {
  const Generated first = answer(encode({kCapital})).value();
  const std::vector<TokenId> prompt = encode({kCapital, first.message, user_message("What is 27 + 35?")});
  const Generated second = answer(prompt).value();
  EXPECT_EQ(second.usage.cached_tokens, 13 + first.usage.generated_tokens - 1);
  id = engine->open().value();
  const Generated fresh = answer(prompt).value();
  EXPECT_EQ(fresh.usage.cached_tokens, 0);
  EXPECT_EQ(fresh.message, second.message);
}

TEST_F(Generate, the_same_prompt_again_gives_the_same_answer) {
  const std::vector<TokenId> prompt = encode({kCapital});
  const Generated first = answer(prompt).value();
  EXPECT_EQ(answer(prompt)->message, first.message);
}

TEST_F(Generate, the_same_seed_gives_the_same_answer) {
  options.sampling.temperature = 1.0;
  options.sampling.seed = 42;
  options.max_tokens = 24;
  const std::vector<TokenId> prompt = encode({user_message("Tell me a story.")});
  const Generated first = answer(prompt).value();
  EXPECT_EQ(answer(prompt)->message, first.message);
}

TEST_F(Generate, progress_ends_with_the_whole_prompt) {
  const std::vector<TokenId> prompt = encode({system_message(std::string(900, 'x')), kCapital});
  ASSERT_TRUE(answer(prompt).ok());
  const auto total = static_cast<int64_t>(prompt.size());
  ASSERT_GT(recorder.progress.size(), 2u);
  EXPECT_EQ(recorder.progress.front(), std::make_pair(int64_t{0}, total));
  EXPECT_EQ(recorder.progress.back(), std::make_pair(total, total));
  EXPECT_TRUE(std::is_sorted(recorder.progress.begin(), recorder.progress.end()));
}

TEST_F(Generate, raw_text_is_completed_without_markers) {
  options.raw = true;
  options.max_tokens = 12;
  std::vector<TokenId> prompt = {0};
  tiny_model()->tokenizer->encode("The capital of France is", AddedTokens::kAsText, prompt);
  const Generated answered = answer(prompt).value();
  EXPECT_FALSE(answered.message.text().empty());
  EXPECT_EQ(answered.message.text().find("<｜"), std::string::npos);
}

TEST_F(Generate, logprobs_come_with_each_token) {
  options.sampling.logprobs = 3;
  ASSERT_TRUE(answer(encode({kCapital})).ok());
  for (const Sampled& sampled : recorder.tokens) {
    EXPECT_EQ(sampled.n_top_logprobs, 3);
    EXPECT_LE(sampled.logprob, 0.0f);
    EXPECT_EQ(sampled.top_logprobs[0].token, sampled.token);  // greedy
  }
}

TEST_F(Generate, an_option_out_of_range_is_named) {
  options.sampling.temperature = 3;
  EXPECT_EQ(answer(encode({kCapital})).error().in, "temperature");
}

}  // namespace
}  // namespace hadal
