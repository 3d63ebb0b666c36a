#include "prompt/dsml_arguments.h"

#include <gtest/gtest.h>

namespace hadal::dsml {
namespace {

struct Given {
  const char* key;
  const char* value;
  bool is_string = true;
  bool may_wrap = false;
};

// The text after all parameters, or the error of the first that fails.
std::string written(std::initializer_list<Given> parameters) {
  Arguments arguments;
  for (const Given& given : parameters) {
    if (Result<void> begun = arguments.begin_parameter(given.key, given.is_string, given.may_wrap); !begun.ok()) {
      return begun.error().what;
    }
    for (const char* c = given.value; *c; ++c) arguments.append(std::string_view(c, 1));
    if (Result<void> ended = arguments.end_parameter(); !ended.ok()) return ended.error().what;
  }
  arguments.finish();
  return arguments.text();
}

TEST(DsmlArguments, strings_are_escaped_and_other_values_are_taken_as_they_are) {
  EXPECT_EQ(written({}), "{}");
  EXPECT_EQ(written({{"city", "Pa\"ris\n\\ \x01"}, {"days", "2", false}}),
            R"({"city": "Pa\"ris\n\\ \u0001", "days": 2})");
  EXPECT_EQ(written({{"", ""}, {"l", " [1,  {\"a\":1.50}] ", false}}), R"({"": "", "l":  [1,  {"a":1.50}] })");
}

TEST(DsmlArguments, a_value_that_is_no_json_and_a_key_that_comes_twice_are_refused) {
  EXPECT_EQ(written({{"a", "1", false}, {"b", "True", false}}), "parameter \"b\" is neither a string nor JSON");
  EXPECT_EQ(written({{"a", "", false}}), "parameter \"a\" is neither a string nor JSON");
  EXPECT_EQ(written({{"a", "1, \"b\": 2", false}}), "parameter \"a\" is neither a string nor JSON");
  EXPECT_EQ(written({{"a", "1"}, {"a", "2"}}), "parameter \"a\" comes twice");
}

TEST(DsmlArguments, an_object_in_the_only_parameter_of_a_wrappers_name_is_all_arguments) {
  EXPECT_EQ(written({{"input", "{\"a\":1}", false, true}}), "{\"a\":1}");
  EXPECT_EQ(written({{"arguments", " {\"a\":\"\\u00e9\"}\n", true, true}}), " {\"a\":\"\\u00e9\"}\n");
}

TEST(DsmlArguments, what_only_looks_like_a_wrapper_is_a_parameter) {
  EXPECT_EQ(written({{"input", "not json", true, true}}), R"({"input": "not json"})");
  EXPECT_EQ(written({{"input", "[1]", false, true}}), R"({"input": [1]})");
  EXPECT_EQ(written({{"input", "{\"a\":1}", true, false}}), R"({"input": "{\"a\":1}"})");
  EXPECT_EQ(written({{"input", "{\"a\":1}", true, true}, {"b", "2", false}}), R"({"input": "{\"a\":1}", "b": 2})");
  EXPECT_EQ(written({{"b", "2", false}, {"input", "{}", false, true}}), R"({"b": 2, "input": {}})");
}

TEST(DsmlArguments, string_text_is_handed_out_as_it_arrives_and_other_values_when_they_are_known_to_be_json) {
  Arguments arguments;
  ASSERT_TRUE(arguments.begin_parameter("s", true, false).ok());
  EXPECT_EQ(arguments.take_delta(), "{\"s\": \"");
  arguments.append("a\n");
  EXPECT_EQ(arguments.take_delta(), "a\\n");
  ASSERT_TRUE(arguments.end_parameter().ok());
  ASSERT_TRUE(arguments.begin_parameter("n", false, false).ok());
  arguments.append("12");
  EXPECT_EQ(arguments.take_delta(), "\", \"n\": ");
  ASSERT_TRUE(arguments.end_parameter().ok());
  arguments.finish();
  EXPECT_EQ(arguments.take_delta(), "12}");
  EXPECT_EQ(arguments.take_delta(), "");
}

}  // namespace
}  // namespace hadal::dsml
