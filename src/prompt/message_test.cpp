#include "prompt/message.h"

#include <gtest/gtest.h>

namespace hadal {
namespace {

json::Value parsed_json(std::string_view text) {
  Result<json::Value> value = json::parse(text, "test");
  EXPECT_TRUE(value.ok()) << value.error().to_string();
  return value.ok() ? *std::move(value) : json::Value();
}

Message parsed(std::string_view text) {
  Result<Message> message = parse_message(parsed_json(text));
  EXPECT_TRUE(message.ok()) << text << "\n" << message.error().to_string();
  return message.ok() ? *std::move(message) : Message();
}

TEST(Message, a_string_and_a_list_with_one_text_part_are_the_same_content) {
  EXPECT_EQ(parsed(R"({"role":"user","content":"hi"})"), user_message("hi"));
  EXPECT_EQ(parsed(R"({"role":"user","content":[{"type":"text","text":"hi"}]})"), user_message("hi"));
}

TEST(Message, missing_null_and_empty_content_are_the_same) {
  for (const char* text : {R"({"role":"user"})", R"({"role":"user","content":null})", R"({"role":"user","content":""})",
                           R"({"role":"user","content":[]})"}) {
    EXPECT_EQ(parsed(text), user_message("")) << text;
  }
}

TEST(Message, text_joins_parts_with_blank_lines_and_names_what_is_no_text) {
  const Message message = parsed(
      R"({"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{}},)"
      R"({"type":"text","text":"b"}]})");
  EXPECT_EQ(message.text(), "a\n\n[Unsupported image_url]\n\nb");
  EXPECT_EQ(message.tool_call_id, "c1");
}

TEST(Message, arguments_may_be_json_text_or_an_object_and_numbers_keep_their_text) {
  const Message message =
      parsed(R"({"role":"assistant","content":null,"reasoning_content":"r","tool_calls":[)"
             R"({"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\": 1.50}"}},)"
             R"({"function":{"name":"g","arguments":{"x":1.50,"y":[true]}}},{"function":{"name":"h"}}]})");
  ASSERT_EQ(message.tool_calls.size(), 3u);
  EXPECT_EQ(message.tool_calls[0], (ToolCall{.id = "a", .name = "f", .arguments = R"({"x": 1.50})"}));
  EXPECT_EQ(message.tool_calls[1], (ToolCall{.id = "", .name = "g", .arguments = R"({"x":1.50,"y":[true]})"}));
  EXPECT_EQ(message.tool_calls[2], (ToolCall{.id = "", .name = "h", .arguments = "{}"}));
  EXPECT_EQ(message.reasoning_content, "r");
}

TEST(Message, the_fields_of_v4_are_read_and_unknown_ones_ignored) {
  const Message message =
      parsed(R"({"role":"system","content":"s","tools":[{"type":"function","function":{"name":"f"}}],"name":"x",)"
             R"("response_format":{"type":"json_object"},"task":"title","wo_eos":true,"audio":{"deep":[1]}})");
  EXPECT_EQ(message.tools.items().size(), 1u);
  EXPECT_EQ(json::dump(message.response_format), R"({"type":"json_object"})");
  EXPECT_EQ(message.task, "title");
  EXPECT_TRUE(message.wo_eos);
}

TEST(Message, writing_and_reading_again_is_identity) {
  for (const char* text : {
           R"({"role":"user","content":"hi"})",
           R"({"role":"user","content":""})",
           R"({"role":"latest_reminder","content":"2026-11-23"})",
           R"({"role":"user","content":[{"type":"text","text":"a"},{"type":"image"}],"task":"action"})",
           R"({"role":"assistant","content":null,"reasoning_content":"r","tool_calls":[{"id":"c","type":"function",)"
           R"("function":{"name":"f","arguments":"{}"}}]})",
           R"({"role":"assistant","content":"a","wo_eos":true})",
           R"({"role":"tool","content":"12:00","tool_call_id":"c"})",
           R"({"role":"developer","content":"d","tools":[{"type":"function","function":{"name":"f"}}],)"
           R"("response_format":{"type":"json_object"}})",
       }) {
    const json::Value value = parsed_json(text);
    const Message message = parsed(text);
    EXPECT_EQ(message_to_json(message), value) << json::dump(message_to_json(message));
    Result<Message> again = parse_message(message_to_json(message));
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(*again, message);
  }
}

TEST(Message, every_role_is_read_back_from_its_name) {
  for (const Role role :
       {Role::kSystem, Role::kDeveloper, Role::kUser, Role::kAssistant, Role::kTool, Role::kLatestReminder}) {
    Result<Role> again = parse_role(role_name(role));
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(*again, role);
  }
  EXPECT_FALSE(parse_role("function").ok());
}

TEST(Message, wrong_fields_are_refused_with_their_json_path) {
  struct Row {
    const char* text;
    const char* in;
    const char* found;
  };
  for (const Row& row : {
           Row{R"([])", "", "array"},
           Row{R"({"content":"x"})", "role", "nothing"},
           Row{R"({"role":7})", "role", "number"},
           Row{R"({"role":"function"})", "role", "\"function\""},
           Row{R"({"role":"user","content":5})", "content", "number"},
           Row{R"({"role":"user","content":["x"]})", "content[0]", "string"},
           Row{R"({"role":"user","content":[{"type":"text","text":"a"},{"text":"x"}]})", "content[1].type", "nothing"},
           Row{R"({"role":"user","content":[{"type":"text","text":null}]})", "content[0].text", "null"},
           Row{R"({"role":"assistant","reasoning_content":[]})", "reasoning_content", "array"},
           Row{R"({"role":"assistant","tool_calls":{}})", "tool_calls", "object"},
           Row{R"({"role":"assistant","tool_calls":[1]})", "tool_calls[0]", "number"},
           Row{R"({"role":"assistant","tool_calls":[{"id":1}]})", "tool_calls[0].id", "number"},
           Row{R"({"role":"assistant","tool_calls":[{}]})", "tool_calls[0].function", "nothing"},
           Row{R"({"role":"assistant","tool_calls":[{"function":{"name":null}}]})", "tool_calls[0].function.name",
               "nothing"},
           Row{R"({"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":[1]}}]})",
               "tool_calls[0].function.arguments", "array"},
           Row{R"({"role":"tool","tool_call_id":3})", "tool_call_id", "number"},
           Row{R"({"role":"system","tools":{}})", "tools", "object"},
           Row{R"({"role":"system","tools":[{"type":"function"}]})", "tools[0].function", "nothing"},
           Row{R"({"role":"system","tools":[{"function":{"name":1}}]})", "tools[0].function.name", "number"},
           Row{R"({"role":"user","task":1})", "task", "number"},
           Row{R"({"role":"assistant","wo_eos":"yes"})", "wo_eos", "string"},
       }) {
    Result<Message> message = parse_message(parsed_json(row.text));
    ASSERT_FALSE(message.ok()) << row.text;
    EXPECT_EQ(message.error().code, ErrorCode::kInvalid) << row.text;
    EXPECT_EQ(message.error().in, row.in) << row.text;
    EXPECT_EQ(message.error().found, row.found) << row.text;
  }
}

}  // namespace
}  // namespace hadal
