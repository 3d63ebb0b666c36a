// `hadal run` with one prompt: exact output, exit codes, what a program reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>

#include "base/json.h"
#include "cli/program.h"
#include "testing/tokenizers.h"

namespace hadal {
namespace {

using test::Finished;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kCapital = "What is the capital of France?";
constexpr const char* kMarbles = "Ada has 43 marbles and gives away 6. How many marbles are left?";

// The tools of the prompt `tool` in tests/data/v4-tiny/goldens.json.
constexpr const char* kTools = R"([
  {"type": "function", "function": {"name": "get_weather", "description": "Get the current weather of a city",
   "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "The city name"}},
                  "required": ["city"]}}},
  {"type": "function", "function": {"name": "calculator", "description": "Evaluate an arithmetic expression",
   "parameters": {"type": "object",
                  "properties": {"expression": {"type": "string", "description": "The expression"}},
                  "required": ["expression"]}}}])";

// Runs `hadal run ... --temperature 0`.
Finished run(const TempFolder& folder, std::vector<std::string> arguments, const std::string& input = "") {
  arguments.insert(arguments.begin(), "run");
  arguments.insert(arguments.end(), {"--temperature", "0"});
  return run_hadal(folder, arguments, input);
}

json::Value parsed(const Finished& finished) {
  Result<json::Value> value = json::parse(finished.out, "stdout");
  EXPECT_TRUE(value.ok()) << finished.out << finished.err;
  return value.ok() ? std::move(value).value() : json::Value();
}

TEST(Run, the_answer_and_a_line_feed_are_all_that_is_printed) {
  const TempFolder folder;
  const Finished finished = run(folder, {"-p", kCapital});
  EXPECT_EQ(finished.out, "The capital of France is Paris.\n");
  EXPECT_EQ(finished.err, "");
  EXPECT_EQ(finished.exit_code, 0);
}

TEST(Run, a_pipe_is_a_prompt) {
  const TempFolder folder;
  EXPECT_EQ(run(folder, {}, std::string(kCapital) + "\n").out, "The capital of France is Paris.\n");
}

TEST(Run, a_file_is_a_prompt) {
  const TempFolder folder;
  folder.write("question.txt", std::string(kCapital) + "\n");
  EXPECT_EQ(run(folder, {"-f", "question.txt"}).out, "The capital of France is Paris.\n");
}

TEST(Run, what_is_piped_stands_behind_the_argument_after_a_blank_line) {
  const TempFolder folder;
  const json::Value joined = parsed(run(folder, {"--json", "-p", "Question:\n\nWhat is 27 + 35?"}));
  const json::Value piped = parsed(run(folder, {"--json", "-p", "Question:"}, "What is 27 + 35?\n"));
  EXPECT_EQ(piped.find("content")->as_string(), joined.find("content")->as_string());
  EXPECT_EQ(*piped.find("usage"), *joined.find("usage"));
}

TEST(Run, reasoning_is_not_printed_into_a_pipe_unless_asked_for) {
  const TempFolder folder;
  const Finished plain = run(folder, {"-p", kMarbles, "--think", "on"});
  EXPECT_EQ(plain.out, "43 - 6 = 37. Ada has 37 marbles left.\n");
  const Finished shown = run(folder, {"-p", kMarbles, "--think", "on", "--show-thinking"});
  EXPECT_THAT(shown.out, AllOf(HasSubstr("subtraction"), HasSubstr("\n\n" + plain.out)));
}

TEST(Run, a_tool_call_is_one_line_of_json) {
  const TempFolder folder;
  folder.write("tools.json", kTools);
  const Finished finished = run(folder, {"--system", "You are a helpful assistant.", "--tools", "tools.json", "-p",
                                         "What is the weather in Paris?"});
  EXPECT_EQ(finished.out, "{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Paris\"}}\n");
  EXPECT_EQ(finished.exit_code, 0);
}

TEST(Run, json_is_one_object_with_content_usage_and_timings) {
  const TempFolder folder;
  const Finished finished = run(folder, {"-p", kCapital, "--json", "--logprobs", "2"});
  const json::Value value = parsed(finished);
  EXPECT_EQ(value.find("content")->as_string(), "The capital of France is Paris.");
  EXPECT_EQ(value.find("finish_reason")->as_string(), "stop");
  EXPECT_EQ(value.find("usage")->find("prompt_tokens")->as_int(), 13);
  EXPECT_GT(value.find("timings")->find("first_token_s")->as_double(), 0.0);
  const json::Array& tokens = value.find("logprobs")->find("content")->items();
  ASSERT_EQ(static_cast<int64_t>(tokens.size()), value.find("usage")->find("completion_tokens")->as_int());
  EXPECT_EQ(tokens[0].find("token")->as_string(), "The");
  EXPECT_EQ(tokens[0].find("top_logprobs")->items().size(), 2u);
  EXPECT_EQ(finished.err, "");
}

TEST(Run, a_tool_call_in_json_has_the_shape_of_openai) {
  const TempFolder folder;
  folder.write("tools.json", kTools);
  const json::Value value = parsed(run(folder, {"--json", "--system", "You are a helpful assistant.", "--tools",
                                                "tools.json", "-p", "What is the weather in Paris?"}));
  EXPECT_EQ(value.find("finish_reason")->as_string(), "tool_calls");
  ASSERT_EQ(value.find("tool_calls")->items().size(), 1u);
  const json::Value& function = *value.find("tool_calls")->items()[0].find("function");
  EXPECT_EQ(function.find("name")->as_string(), "get_weather");
  EXPECT_EQ(json::parse(function.find("arguments")->as_string(), "arguments")->find("city")->as_string(), "Paris");
}

TEST(Run, raw_continues_plain_text) {
  const TempFolder folder;
  const Finished finished = run(folder, {"--raw", "-p", "The capital of France is", "--max-tokens", "3"});
  EXPECT_THAT(finished.out, HasSubstr("Paris"));
  EXPECT_EQ(finished.exit_code, 0);
}

TEST(Run, a_stop_string_ends_the_answer_before_it) {
  const TempFolder folder;
  EXPECT_EQ(run(folder, {"-p", kCapital, "--stop", " is"}).out, "The capital of France\n");
}

TEST(Run, a_banned_token_does_not_appear) {
  const TempFolder folder;
  const json::Value free = parsed(run(folder, {"-p", kCapital, "--json", "--logprobs", "0"}));
  const std::optional<int64_t> first = free.find("logprobs")->find("content")->items()[0].find("id")->as_int();
  const Finished banned = run(folder, {"-p", kCapital, "--logit-bias", std::to_string(*first) + "=-100"});
  EXPECT_EQ(banned.exit_code, 0);
  EXPECT_THAT(banned.out, Not(::testing::StartsWith("The ")));
}

TEST(Run, markers_in_the_prompt_stay_text) {
  const TempFolder folder;
  const json::Value plain = parsed(run(folder, {"--json", "--max-tokens", "1", "-p", "Hello"}));
  const json::Value marked = parsed(run(folder, {"--json", "--max-tokens", "1", "-p", "Hello<｜User｜>"}));
  // As a token it would add one; as text it takes several.
  EXPECT_GT(*marked.find("usage")->find("prompt_tokens")->as_int(),
            *plain.find("usage")->find("prompt_tokens")->as_int() + 1);
}

// A shell does what no test helper should need to: it closes streams and fills disks.
int in_a_shell(const std::string& redirections) {
  const std::string command = std::string(HADAL_BINARY) + " run --temperature 0 -p 'What is 27 + 35?' " + redirections;
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A random V3 has nothing to say, but it is asked in its own encoding and what it says is taken apart.
TEST(Run, a_model_of_the_v3_family_is_asked_as_its_files_say) {
  const TempFolder folder;
  const fs::path data = fs::path(HADAL_SOURCE_DIR) / "tests/data/v3-random";
  for (const char* name : {"config.json", "model.safetensors"}) fs::copy_file(data / name, folder / name);
  folder.write("tokenizer.json", json::dump(tokenizer::testing::small_tokenizer_json()));
  const auto asked = [&] { return run(folder, {".", "-p", "hello", "--max-tokens", "4", "--think", "on"}); };
  EXPECT_THAT(run_hadal(folder, {"inspect", "."}).out, HasSubstr("prompt      v3\n"));
  EXPECT_THAT(asked().err, HasSubstr("this model does not reason"));
  folder.write("tokenizer_config.json", R"({"chat_template": "{{'<｜Assistant｜></think>'}}"})");
  EXPECT_THAT(run_hadal(folder, {"inspect", "."}).out, HasSubstr("prompt      v3.1\n"));
  EXPECT_EQ(asked().exit_code, 0) << asked().err;
}

TEST(Run, a_closed_input_is_no_pipe) {
  EXPECT_EQ(in_a_shell("<&- >/dev/null"), 0);
}

TEST(Run, a_full_disk_is_a_failure) {
  EXPECT_EQ(in_a_shell("</dev/null >/dev/full 2>/dev/null"), 1);
  EXPECT_EQ(in_a_shell("--json </dev/null >/dev/full 2>/dev/null"), 1);
}

TEST(Run, notices_that_nobody_can_read_stop_nothing) {
  EXPECT_EQ(in_a_shell("-v </dev/null >/dev/null 2>/dev/full"), 0);
  EXPECT_EQ(in_a_shell("-v </dev/null >/dev/null 2>&-"), 0);
}

TEST(Run, verbose_says_the_plan_and_the_speed_on_stderr) {
  const TempFolder folder;
  const Finished finished = run(folder, {"-p", kCapital, "-v"});
  EXPECT_EQ(finished.out, "The capital of France is Paris.\n");
  EXPECT_THAT(finished.err, AllOf(HasSubstr("routed experts"), HasSubstr("13 tokens read"), HasSubstr("tokens/s")));
}

struct BadInput {
  std::string name;
  std::vector<std::string> arguments;
  int exit_code;
  std::string says;
};

class RunRefuses : public ::testing::TestWithParam<BadInput> {};

TEST_P(RunRefuses, with_clear_words_and_nothing_on_stdout) {
  const TempFolder folder;
  folder.write("broken.json", "{\"a\"");
  folder.write("no_tools.json", "[{\"x\": 1}]");
  folder.write("latin1.txt", "caf\xE9");
  const Finished finished = run(folder, GetParam().arguments);
  EXPECT_EQ(finished.exit_code, GetParam().exit_code);
  EXPECT_THAT(finished.err, HasSubstr(GetParam().says));
  EXPECT_EQ(finished.out, "");
}

const std::string kRandomModel = std::string(HADAL_SOURCE_DIR) + "/tests/data/v4-random";

INSTANTIATE_TEST_SUITE_P(
    , RunRefuses,
    ::testing::Values(
        BadInput{"prompt_as_model", {kCapital}, 2, "-p 'TEXT'"}, BadInput{"no_prompt", {}, 2, "there is no prompt"},
        BadInput{"two_prompts", {kRandomModel, "one", "-p", "two"}, 2, "two prompts"},
        BadInput{"unknown_think", {"-p", "x", "--think", "maybe"}, 2, "off, on, low, high, max or 1 to 100"},
        BadInput{"unknown_option", {"-p", "x", "--nonsense"}, 2, "--nonsense"},
        BadInput{"top_p_out_of_range", {"-p", "x", "--top-p", "2"}, 2, "top_p"},
        BadInput{"max_tokens_of_zero", {"-p", "x", "--max-tokens", "0"}, 2, "--max-tokens"},
        BadInput{"empty_stop_string", {"-p", "x", "--stop", ""}, 2, "stop"},
        BadInput{"bias_without_value", {"-p", "x", "--logit-bias", "5"}, 2, "ID=BIAS"},
        BadInput{"raw_with_system", {"--raw", "-p", "x", "--system", "y"}, 2, "--raw"},
        BadInput{"missing_file", {"-f", "absent.txt"}, 1, "absent.txt"},
        BadInput{"file_that_is_no_text", {"-f", "latin1.txt"}, 1, "UTF-8"},
        BadInput{"broken_tools", {"-p", "x", "--tools", "broken.json"}, 1, "broken.json"},
        BadInput{"tools_without_function", {"-p", "x", "--tools", "no_tools.json"}, 1, "tools[0].function"},
        BadInput{"model_without_tokenizer", {kRandomModel, "-p", "x"}, 1, "tokenizer.json"},
        BadInput{"prompt_too_long", {"-c", "8", "-p", kCapital}, 1, "at most 8 tokens"}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace hadal
