// hadal convert, and the other commands on what it wrote.
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

std::string answer(const TempFolder& folder, const std::string& model) {
  std::vector<std::string> arguments = {"run"};
  if (!model.empty()) arguments.push_back(model);
  arguments.insert(arguments.end(), {"-p", "What is 27 + 35?", "--temperature", "0"});
  const Finished finished = run_hadal(folder, arguments);
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  return finished.out;
}

TEST(ConvertCommand, the_embedded_model_answers_from_a_gguf_file_as_before) {
  const TempFolder folder;
  const json::Value value =
      json_of(run_hadal(folder, {"convert", "embedded", "tiny.gguf", "--type", "mxfp4", "--json"}));
  EXPECT_THAT(keys_of(value),
              ElementsAre("out", "type", "n_tensors", "tensor_bytes", "has_dropped_draft", "n_weighed", "seconds"));
  EXPECT_TRUE(value.find("has_dropped_draft")->as_bool());
  EXPECT_EQ(answer(folder, "tiny.gguf"), answer(folder, ""));
}

TEST(ConvertCommand, inspect_tells_what_a_gguf_file_holds) {
  const TempFolder folder;
  ASSERT_EQ(run_hadal(folder, {"convert", "embedded", "tiny.gguf", "--type", "q4_k_m"}).exit_code, 0);
  const Finished shown = run_hadal(folder, {"inspect", "tiny.gguf", "--metadata"});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(shown.out, AllOf(HasSubstr("deepseek_v4"), HasSubstr("routed experts      Q4_K"), HasSubstr("Q6_K"),
                               HasSubstr("GGUF version 3, aligned to 4096 bytes"),
                               HasSubstr("\"general.architecture\""), HasSubstr("an array of 4480 string")));
  const json::Value value = json_of(run_hadal(folder, {"inspect", "tiny.gguf", "--metadata", "--json"}));
  EXPECT_EQ(value.find("metadata")->find("general.architecture")->as_string(), "\"deepseek4\"");
  EXPECT_EQ(
      number_at(value, {"tensor_bytes"}),
      number_at(json_of(run_hadal(folder, {"inspect", "tiny.gguf", "--verify", "--json"})), {"verify", "read_bytes"}));
}

TEST(ConvertCommand, a_file_goes_back_to_safetensors_and_to_another_type) {
  const TempFolder folder;
  ASSERT_EQ(run_hadal(folder, {"convert", "embedded", "a.gguf", "--type", "f32"}).exit_code, 0);
  const Finished back = run_hadal(folder, {"convert", "a.gguf", "back", "--type", "f32"});
  EXPECT_EQ(back.exit_code, 0) << back.err;
  EXPECT_THAT(back.out, HasSubstr("back: "));
  EXPECT_TRUE(fs::exists(folder / "back/config.json"));
  EXPECT_TRUE(fs::exists(folder / "back/tokenizer.json"));
  EXPECT_EQ(answer(folder, "back"), answer(folder, "a.gguf"));
  EXPECT_EQ(run_hadal(folder, {"convert", "a.gguf", "b.gguf", "--type", "q8_0"}).exit_code, 0);
  EXPECT_EQ(answer(folder, "b.gguf"), answer(folder, "a.gguf"));
}

TEST(ConvertCommand, what_cannot_be_written_is_refused) {
  const TempFolder folder;
  const Finished type = run_hadal(folder, {"convert", "embedded", "out", "--type", "q4_k_m"});
  EXPECT_EQ(type.exit_code, 1);
  EXPECT_THAT(type.err, AllOf(HasSubstr("safetensors do not hold this type"), HasSubstr(".gguf")));
  EXPECT_EQ(run_hadal(folder, {"convert", "embedded", "x.gguf", "--type", "q9"}).exit_code, 2);
  folder.write("used", "x");
  EXPECT_EQ(run_hadal(folder, {"convert", "embedded", "used"}).exit_code, 1);
  const Finished none = run_hadal(folder, {"convert", "nowhere", "x.gguf"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.err, HasSubstr("nowhere"));
  EXPECT_FALSE(fs::exists(folder / "x.gguf"));
}

TEST(ConvertCommand, a_full_disk_leaves_nothing) {
  const TempFolder folder;
  const Finished finished = run_hadal_within({.file_bytes = 1 << 20}, folder, {"convert", "embedded", "x.gguf"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("error: "));
  for (const auto& entry : fs::directory_iterator(folder.path()))
    EXPECT_THAT(entry.path().filename().string(), ::testing::Not(HasSubstr("x.gguf")));
}

TEST(ConvertCommand, a_hostile_file_is_refused_by_every_command) {
  const TempFolder folder;
  folder.write("bad.gguf", std::string("GGUF\3\0\0\0", 8) + std::string(16, '\xff'));
  for (const std::vector<std::string>& command : {std::vector<std::string>{"run", "bad.gguf", "-p", "x"},
                                                  {"inspect", "bad.gguf"},
                                                  {"plan", "bad.gguf"},
                                                  {"bench", "bad.gguf"},
                                                  {"convert", "bad.gguf", "out.gguf"}}) {
    const Finished finished = run_hadal(folder, command);
    EXPECT_EQ(finished.exit_code, 1) << command[0];
    EXPECT_THAT(finished.err, AllOf(HasSubstr("bad.gguf, byte 8: tensor count"), HasSubstr("at most 1048576")))
        << command[0];
  }
}

}  // namespace
}  // namespace hadal
