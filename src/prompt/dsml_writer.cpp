#include "prompt/dsml_writer.h"

#include <fmt/format.h>

#include "prompt/prompt_checks.h"

namespace hadal::dsml {
namespace {

constexpr std::string_view kResponseFormatHead =
    "\n\n## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n";

// Arguments as an object, or null. Some clients encode them twice: V4.1's encoder opens such a string, for every
// encoding it is better than showing the model its own quotes.
json::Value arguments_object(const std::string& text) {
  Result<json::Value> arguments = json::parse(text, "arguments");
  if (arguments.ok() && arguments->is_string()) arguments = json::parse(arguments->as_string(), "arguments");
  return arguments.ok() && arguments->is_object() ? *std::move(arguments) : json::Value();
}

class CallWriter {
 public:
  CallWriter(PromptWriter& out, const TagNames& tags) : out_(out), tags_(tags) {}

  void write(const ToolCall& call) {
    out_.markup(fmt::format("<｜DSML｜{} name=\"", tags_.invoke));
    out_.content(call.name);
    out_.markup("\">\n");
    // Arguments that are no JSON object are what a model once wrote, sent back by the client: they are shown to it as
    // they are. V4's encoder does so for text that is no JSON, and fails for JSON that is no object.
    const json::Value arguments = arguments_object(call.arguments);
    if (arguments.is_null()) {
      write_parameter("arguments", json::Value::string(call.arguments));
    } else {
      for (const auto& [key, value] : arguments.members()) write_parameter(key, value);
      if (arguments.members().empty()) out_.markup("\n");
    }
    out_.markup(fmt::format("</｜DSML｜{}>\n", tags_.invoke));
  }

 private:
  void write_parameter(std::string_view key, const json::Value& value) {
    out_.markup(fmt::format("<｜DSML｜{} name=\"", tags_.parameter));
    out_.content(key);
    out_.markup(value.is_string() ? "\" string=\"true\">" : "\" string=\"false\">");
    out_.content(value.is_string() ? value.as_string() : json::dump_python(value));
    out_.markup(fmt::format("</｜DSML｜{}>\n", tags_.parameter));
  }

  PromptWriter& out_;
  const TagNames& tags_;
};

// Python's idea of a value that is there: the releases' encoders ask `if response_format:`.
bool has_content(const json::Value& value) {
  switch (value.kind()) {
    case json::Value::Kind::kNull:
      return false;
    case json::Value::Kind::kBool:
      return value.as_bool();
    case json::Value::Kind::kNumber:
      return value.as_double() != 0.0;
    case json::Value::Kind::kString:
      return !value.as_string().empty();
    case json::Value::Kind::kArray:
      return !value.items().empty();
    case json::Value::Kind::kObject:
      return !value.members().empty();
  }
  return false;
}

}  // namespace

void write_calls(PromptWriter& out, const TagNames& tags, std::span<const ToolCall> calls) {
  if (calls.empty()) return;
  out.markup(fmt::format("\n\n<｜DSML｜{}>\n", tags.block));
  CallWriter writer(out, tags);
  for (const ToolCall& call : calls) writer.write(call);
  out.markup(fmt::format("</｜DSML｜{}>", tags.block));
}

Result<void> write_tools(PromptWriter& out, std::string_view head, const json::Value& tools, std::string_view tail,
                         size_t i_message) {
  HADAL_ASSIGN(const std::vector<const json::Value*> functions, functions_of(tools, i_message));
  if (functions.empty()) return {};
  out.markup("\n\n");
  out.markup(head);
  for (size_t i = 0; i < functions.size(); ++i) {
    if (i > 0) out.markup("\n");
    out.content(json::dump_python(*functions[i]));
  }
  out.markup(tail);
  return {};
}

void write_response_format(PromptWriter& out, const json::Value& response_format) {
  if (!has_content(response_format)) return;
  out.markup(kResponseFormatHead);
  out.content(json::dump_python(response_format));
}

}  // namespace hadal::dsml
