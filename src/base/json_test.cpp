#include "base/json.h"

#include <gtest/gtest.h>

namespace hadal::json {
namespace {

Value parsed(std::string_view text) {
  Result<Value> value = parse(text, "test");
  EXPECT_TRUE(value.ok()) << value.error().to_string();
  return value.ok() ? *value : Value();
}

TEST(Json, keeps_key_order_and_the_text_of_numbers) {
  const Value v = parsed(R"({"b": 1.50, "a": [123456789012345678901234567890, -0, 1e3, true, null, "\u00e9\n"]})");
  EXPECT_EQ(dump(v), "{\"b\":1.50,\"a\":[123456789012345678901234567890,-0,1e3,true,null,\"é\\n\"]}");
  EXPECT_EQ(v.find("a")->items()[2].as_int(), 1000);
  EXPECT_FALSE(v.find("a")->items()[0].as_int().has_value());
}

TEST(Json, writes_numbers_as_python_does) {
  EXPECT_EQ(dump_python(parsed("[1.50, 1.0, 0.1, 1e5, 1e16, 1e20, 1e-7, 0.0001, 0.00001, 123456.789, -0.0, 1e400, 12, "
                               "1e22, 5e-324, 9007199254740993.0, 1234567890123456.7]")),
            "[1.5, 1.0, 0.1, 100000.0, 1e+16, 1e+20, 1e-07, 0.0001, 1e-05, 123456.789, -0.0, Infinity, 12, "
            "1e+22, 5e-324, 9007199254740992.0, 1234567890123456.8]");
}

TEST(Json, writes_strings_as_python_does) {
  EXPECT_EQ(dump_python(parsed(R"({"k": "a\"b\\c\/d\u0001\u007f\u2028é"})")),
            "{\"k\": \"a\\\"b\\\\c/d\\u0001\x7f\u2028é\"}");
}

TEST(Json, dumping_and_parsing_again_is_identity) {
  for (const char* text : {"[]", "{}", "[[],{}]", "\"\"", "0", "true", "null", R"({"a":{"b":[1,2,{"c":"d"}]}})"}) {
    const Value v = parsed(text);
    EXPECT_EQ(dump(v), text);
    EXPECT_EQ(parsed(dump_pretty(v)), v);
    EXPECT_EQ(parsed(dump_python(v)), v);
  }
}

TEST(Json, refuses_what_is_not_json_and_names_the_place) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[1,",
                           "[1]]",
                           "1 2",
                           "01",
                           "+1",
                           "1.",
                           ".5",
                           "tru",
                           "{\"a\":1,}",
                           "{\"a\" 1}",
                           "[\"\x80\"]",
                           "\"a",
                           "nan",
                           "{\"a\":1,\"a\":2}",
                           "-",
                           "[1 2]",
                           "{1:2}"}) {
    const Result<Value> value = parse(text, "bad.json");
    ASSERT_FALSE(value.ok()) << text;
    EXPECT_EQ(value.error().code, ErrorCode::kCorrupt) << text;
    EXPECT_NE(value.error().in.find("bad.json"), std::string::npos) << text;
  }
}

// A bad text with the offset that its error names.
struct BadText {
  std::string text;
  std::string place;
};

TEST(Json, names_the_byte_where_it_goes_wrong) {
  const BadText cases[] = {
      {"[1,2,\"ab\x80 cd\"]", "byte 8"},  // not UTF-8
      {"[1,2,\"a\nb\"]", "byte 7"},       // a control character in a string
      {R"([1,"a\"",")", "byte 9"},        // a string without end, behind one with an escaped quote
      {"[1,", "byte 3"},                  // the end of the text
      {"{", "byte 1"},
      {"[1]]", "byte 3"},  // more behind the value
      {"[1, 2, 01]", "byte 7"},
      {R"({"a": "\x"})", "byte 6"},  // the string, not what follows it
      {R"({"a": [1, {"b": nul}]})", "byte 16"},
      {"[1 2]", "about byte 3"},  // the cursor's place
      {"{\"a\":1,\"a\":2}", "about byte 11"},
  };
  for (const BadText& bad : cases) {
    const Result<Value> value = parse(bad.text, "f");
    ASSERT_FALSE(value.ok()) << bad.text;
    EXPECT_EQ(value.error().in, "f, " + bad.place) << bad.text;
  }
}

TEST(Json, excerpts_are_short_and_hold_no_commands_for_a_terminal) {
  EXPECT_EQ(excerpt("a\x1b[2J\x7f\u009b31m\"\xff"), "\"a\\u001b[2J\\u007f\\u009b31m\\\"\uFFFD\"");
  EXPECT_EQ(excerpt(std::string(199, 'a') + "é").size(), 201u);
  EXPECT_EQ(excerpt(parsed("{\"a\":[1,\"\u009b\"]}")), "{\"a\":[1,\"\\u009b\"]}");
  EXPECT_LE(excerpt(parsed("[" + std::string(500, '1') + "]")).size(), 200u);
}

TEST(Json, limits_depth_and_length) {
  const std::string deep = std::string(65, '[') + std::string(65, ']');
  EXPECT_EQ(parse(deep, "deep").error().code, ErrorCode::kLimit);
  EXPECT_TRUE(parse(deep.substr(1, 128), "deep").ok());
  EXPECT_EQ(parse("[1,2,3]", "long", {.bytes_max = 6}).error().code, ErrorCode::kLimit);
  EXPECT_TRUE(parse("[1,2,3]", "many", {.values_max = 4}).ok());
  EXPECT_EQ(parse("[1,2,3]", "many", {.values_max = 3}).error().code, ErrorCode::kLimit);
}

}  // namespace
}  // namespace hadal::json
