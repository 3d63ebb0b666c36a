// hadal compare as a program reads it, and with goldens from strangers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/io.h"
#include "cli/json_output.h"

namespace hadal {
namespace {

using test::Finished;
using test::json_of;
using test::keys_of;
using test::TempFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kModel = std::string(HADAL_SOURCE_DIR) + "/tests/data/v4-random";

TEST(CompareCommand, json_is_one_object_with_a_verdict_and_a_list_per_golden) {
  const TempFolder folder;
  const Finished finished = run_hadal(folder, {"compare", kModel, "--set", "p0", "--json"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const json::Value value = json_of(finished);
  EXPECT_THAT(keys_of(value), ElementsAre("pass", "worst_abs", "worst_rel", "kl_mean", "greedy_equal", "goldens"));
  EXPECT_TRUE(value.find("pass")->as_bool());
  EXPECT_TRUE(value.find("greedy_equal")->as_bool());
  ASSERT_FALSE(value.find("goldens")->items().empty());
  for (const json::Value& row : value.find("goldens")->items()) {
    EXPECT_THAT(keys_of(row), ElementsAre("prompt", "what", "n", "worst_abs", "worst_rel", "share_within", "tolerance",
                                          "pass", "note"));
  }
}

TEST(CompareCommand, numbers_out_of_tolerance_fail_with_exit_code_one) {
  const TempFolder folder;
  std::string goldens = read_file(kModel + "/goldens.safetensors", 1 << 24).value();
  goldens[goldens.size() - 2] ^= 0x10;  // an exponent's bit in the last float of the file
  folder.write("goldens.safetensors", goldens);
  const Finished finished = run_hadal(folder, {"compare", kModel, "goldens.safetensors", "--json"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_FALSE(json_of(finished).find("pass")->as_bool());
}

TEST(CompareCommand, goldens_that_are_cut_or_missing_are_named) {
  const TempFolder folder;
  const std::string goldens = read_file(kModel + "/goldens.safetensors", 1 << 24).value();
  folder.write("cut.safetensors", goldens.substr(0, goldens.size() / 2));
  folder.write("empty.safetensors", "");
  for (const std::string name : {"cut.safetensors", "empty.safetensors", "absent.safetensors"}) {
    const Finished finished = run_hadal(folder, {"compare", kModel, name});
    EXPECT_EQ(finished.exit_code, 1);
    EXPECT_THAT(finished.err, HasSubstr(name));
    EXPECT_THAT(finished.out, IsEmpty());
  }
}

TEST(CompareCommand, another_models_goldens_are_refused) {
  const TempFolder folder;
  const Finished finished =
      run_hadal(folder, {"compare", kModel, std::string(HADAL_SOURCE_DIR) + "/tests/data/v4-tiny/goldens.safetensors"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("a golden tensor does not fit the model"));
}

TEST(CompareCommand, a_set_that_is_not_there_is_named) {
  const TempFolder folder;
  const Finished finished = run_hadal(folder, {"compare", kModel, "--set", "p0", "--set", "p9"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("p9; in the file: act_kv, p0, p1, p2"));
}

}  // namespace
}  // namespace hadal
