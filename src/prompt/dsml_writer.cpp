#include "prompt/dsml_writer.h"

#include <fmt/format.h>

#include "prompt/prompt_checks.h"

namespace hadal::dsml {
namespace {

constexpr std::string_view kResponseFormatHead =
    "\n\n## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n";

void write_parameter(PromptWriter& out, std::string_view key, const json::Value& value) {
  out.markup("<｜DSML｜parameter name=\"");
  out.content(key);
  out.markup(value.is_string() ? "\" string=\"true\">" : "\" string=\"false\">");
  out.content(value.is_string() ? value.as_string() : json::dump_python(value));
  out.markup("</｜DSML｜parameter>\n");
}

void write_call(PromptWriter& out, const ToolCall& call) {
  out.markup("<｜DSML｜invoke name=\"");
  out.content(call.name);
  out.markup("\">\n");
  // Arguments that are no JSON object are what a model once wrote, sent back by the client: they are shown to it as
  // they are. V4's encoder does so for text that is no JSON, and fails for JSON that is no object.
  const Result<json::Value> arguments = json::parse(call.arguments, "arguments");
  if (!arguments.ok() || !arguments->is_object()) {
    write_parameter(out, "arguments", json::Value::string(call.arguments));
  } else {
    for (const auto& [key, value] : arguments->members()) write_parameter(out, key, value);
    if (arguments->members().empty()) out.markup("\n");
  }
  out.markup("</｜DSML｜invoke>\n");
}

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

void write_calls(PromptWriter& out, std::string_view block, std::span<const ToolCall> calls) {
  if (calls.empty()) return;
  out.markup(fmt::format("\n\n<｜DSML｜{}>\n", block));
  for (const ToolCall& call : calls) write_call(out, call);
  out.markup(fmt::format("</｜DSML｜{}>", block));
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
