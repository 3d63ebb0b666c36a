// hadal inspect: checkpoints, saved states and conversations; and errors as programs read them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/io.h"
#include "cli/json_output.h"

namespace hadal {
namespace {

using test::Finished;
using test::json_of;
using test::keys_of;
using test::number_at;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

constexpr uint64_t kBytesMax = 1 << 24;
constexpr const char* kState = "state/hadal/conversations/sums.state";
constexpr const char* kConversation = "state/hadal/conversations/sums.json";

void save_a_conversation(const TempFolder& folder) {
  const Finished finished =
      run_hadal(folder, {"run", "-i", "--temperature", "0"}, "/system Be brief.\nWhat is 27 + 35?\n/save sums\n");
  ASSERT_TRUE(fs::exists(folder / kState)) << finished.err;
}

TEST(InspectCommand, tells_what_a_checkpoint_holds) {
  const TempFolder folder;
  const json::Value value = json_of(run_hadal(folder, {"inspect", "--json", "--tensors"}));
  EXPECT_THAT(keys_of(value), IsSupersetOf({"kind", "place", "description", "identity", "shards", "groups", "n_tensors",
                                            "tensor_bytes", "problems", "tensors"}));
  EXPECT_EQ(value.find("kind")->as_string(), "checkpoint");
  EXPECT_EQ(static_cast<double>(value.find("tensors")->items().size()), number_at(value, {"n_tensors"}));
  EXPECT_THAT(run_hadal(folder, {"inspect"}).out, HasSubstr("routed experts"));
}

TEST(InspectCommand, tells_what_a_saved_state_holds) {
  const TempFolder folder;
  save_a_conversation(folder);
  const json::Value value = json_of(run_hadal(folder, {"inspect", kState, "--json"}));
  EXPECT_THAT(keys_of(value), ElementsAre("kind", "place", "version", "identity", "tokens", "bytes", "page_tokens",
                                          "page_bytes", "tail_bytes", "checkpoints", "checksum_ok"));
  EXPECT_EQ(value.find("kind")->as_string(), "state");
  EXPECT_GT(number_at(value, {"tokens"}), 10);
  EXPECT_TRUE(value.find("checksum_ok")->as_bool());
  EXPECT_THAT(run_hadal(folder, {"inspect", kState}).out,
              AllOf(HasSubstr("saved state, version 1"), HasSubstr("mode=fast"), HasSubstr("checksum     right")));
}

TEST(InspectCommand, tells_what_a_saved_conversation_holds) {
  const TempFolder folder;
  save_a_conversation(folder);
  const json::Value value = json_of(run_hadal(folder, {"inspect", kConversation, "--json"}));
  EXPECT_THAT(keys_of(value), ElementsAre("kind", "place", "identity", "system", "think", "n_tools", "roles"));
  EXPECT_EQ(value.find("kind")->as_string(), "conversation");
  EXPECT_EQ(value.find("system")->as_string(), "Be brief.");
  EXPECT_THAT(run_hadal(folder, {"inspect", kConversation}).out,
              AllOf(HasSubstr("saved conversation"), HasSubstr("What is 27 + 35?"), HasSubstr("sums.state")));
}

TEST(InspectCommand, finds_a_damaged_state) {
  const TempFolder folder;
  save_a_conversation(folder);
  std::string state = read_file(folder / kState, kBytesMax).value();
  state[state.size() / 2] ^= 1;
  folder.write("damaged", state);
  const Finished damaged = run_hadal(folder, {"inspect", "damaged"});
  EXPECT_EQ(damaged.exit_code, 1);
  EXPECT_THAT(damaged.out, HasSubstr("WRONG"));
  folder.write("cut", state.substr(0, 30));
  const Finished cut = run_hadal(folder, {"inspect", "cut"});
  EXPECT_EQ(cut.exit_code, 1);
  EXPECT_THAT(cut.err, AllOf(HasSubstr("cut"), HasSubstr("error: ")));
}

TEST(InspectCommand, says_that_a_file_is_none_of_these) {
  const TempFolder folder;
  folder.write("other.txt", "Some text.");
  folder.write("config.json", "{\"model_type\": \"deepseek_v4\"}");
  folder.write("empty", "");
  for (const std::string name : {"other.txt", "config.json", "empty"}) {
    const Finished finished = run_hadal(folder, {"inspect", name});
    EXPECT_EQ(finished.exit_code, 1);
    EXPECT_THAT(finished.err, AllOf(HasSubstr("not a file that can be inspected"), HasSubstr(name)));
    EXPECT_THAT(finished.out, IsEmpty());
  }
}

// Every command that has --json, with a model that is not there and with an option that is none.
TEST(JsonErrors, are_one_object_on_stderr) {
  const TempFolder folder;
  const std::vector<std::vector<std::string>> commands = {
      {"run", "nowhere", "-p", "x"},    {"bench", "nowhere"}, {"compare", "nowhere"},
      {"eval", "nowhere", "text"},      {"plan", "nowhere"},  {"inspect", "nowhere"},
      {"doctor", "--model", "nowhere"}, {"synth", "out"},     {"plan", "--bogus"},
      {"convert", "nowhere", "x.gguf"}};
  for (std::vector<std::string> command : commands) {
    command.emplace_back("--json");
    const Finished finished = run_hadal(folder, command);
    EXPECT_NE(finished.exit_code, 0) << command[0];
    EXPECT_THAT(finished.out, IsEmpty()) << command[0];
    const Result<json::Value> value = json::parse(finished.err, "stderr");
    ASSERT_TRUE(value.ok()) << command[0] << finished.err;
    ASSERT_NE(value->find("error"), nullptr);
    EXPECT_THAT(keys_of(*value->find("error")), ElementsAre("code", "what", "in", "want", "found", "hint"));
  }
}

}  // namespace
}  // namespace hadal
