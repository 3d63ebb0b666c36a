#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace hadal {
namespace {

Error broken() {
  return {.code = ErrorCode::kCorrupt, .what = "broken", .in = "tensor x", .want = "", .found = "", .hint = ""};
}

Result<int> half(int v) {
  if (v % 2 != 0) return broken();
  return v / 2;
}

Result<int> quarter(int v) {
  HADAL_ASSIGN(const int once, half(v));
  HADAL_ASSIGN(const int twice, half(once));
  return twice;
}

Result<void> check_quarter(int v) {
  HADAL_TRY(quarter(v));
  return {};
}

TEST(Result, values_and_errors_pass_through_the_macros) {
  EXPECT_EQ(*quarter(12), 3);
  EXPECT_FALSE(quarter(6).ok());
  EXPECT_TRUE(check_quarter(8).ok());
  EXPECT_EQ(check_quarter(7).error().what, "broken");
}

TEST(Result, a_value_that_only_moves_can_be_carried) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  const std::unique_ptr<int> value = std::move(result).value();
  EXPECT_EQ(*value, 7);
}

TEST(Error, reads_as_people_expect) {
  const Error error{.code = ErrorCode::kInvalid,
                    .what = "weight has the wrong shape",
                    .in = "model.safetensors, byte 4096: \"x\"",
                    .want = "[512, 4096]",
                    .found = "[576, 4096]",
                    .hint = "look"};
  EXPECT_EQ(error.to_string(),
            "error: weight has the wrong shape\n"
            "  in     model.safetensors, byte 4096: \"x\"\n"
            "  want   [512, 4096]\n"
            "  found  [576, 4096]\n"
            "  hint   look");
}

TEST(Error, leaves_out_what_it_does_not_know_and_takes_outer_places) {
  Error error = broken();
  EXPECT_EQ(error.to_string(), "error: broken\n  in     tensor x");
  EXPECT_EQ(error.within("model.safetensors").in, "model.safetensors: tensor x");
  Error placeless{.code = ErrorCode::kIo, .what = "x", .in = "", .want = "", .found = "", .hint = ""};
  EXPECT_EQ(placeless.within("file").in, "file");
}

TEST(Error, every_code_has_a_name_of_its_own) {
  EXPECT_EQ(error_code_name(ErrorCode::kNotFound), "not found");
  EXPECT_EQ(error_code_name(ErrorCode::kOutOfMemory), "out of memory");
  EXPECT_EQ(error_code_name(ErrorCode::kInvalid), "invalid");
}

}  // namespace
}  // namespace hadal
