#include "prompt/v4_literals.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace hadal::v4 {

std::string_view task_token(std::string_view task) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kTokens = {{
      {"action", "<｜action｜>"},
      {"query", "<｜query｜>"},
      {"authority", "<｜authority｜>"},
      {"domain", "<｜domain｜>"},
      {"title", "<｜title｜>"},
      {"read_url", "<｜read_url｜>"},
  }};
  for (const auto& [name, token] : kTokens) {
    if (name == task) return token;
  }
  return {};
}

const std::string_view kEffortAbsoluteMaximum =
    "Reasoning Effort: Absolute maximum with no shortcuts permitted.\n"
    "You MUST be very thorough in your thinking and comprehensively decompose the problem to resolve the root cause, "
    "rigorously stress-testing your logic against all potential paths, edge cases, and adversarial scenarios.\n"
    "Explicitly write out your entire deliberation process, documenting every intermediate step, considered "
    "alternative, and rejected hypothesis to ensure absolutely no assumption is left unchecked.\n\n";

const std::string_view kEffortBeyondMaximum =
    "Reasoning Effort: Beyond maximum — exhaustive, relentless, and uncompromising.\n"
    "You MUST reason with the utmost depth and rigor, leaving absolutely nothing to chance: exhaustively decompose the "
    "problem into its most fundamental components, trace every causal chain to its root, and resolve the underlying "
    "cause rather than any surface symptom.\n"
    "Do not stop reasoning until you have independently verified the solution from multiple angles and are certain "
    "that no assumption remains unchecked and no error remains undiscovered.\n\n";

std::string tools_head(const dsml::TagNames& tags) {
  return fmt::format(
      "## Tools\n\n"
      "You have access to a set of tools to help answer the user's question. You can invoke tools by writing a "
      "\"<｜DSML｜{block}>\" block like the following:\n\n"
      "<｜DSML｜{block}>\n"
      "<｜DSML｜{invoke} name=\"$TOOL_NAME\">\n"
      "<｜DSML｜{parameter} name=\"$PARAMETER_NAME\" string=\"true|false\">$PARAMETER_VALUE</｜DSML｜{parameter}>\n"
      "...\n"
      "</｜DSML｜{invoke}>\n"
      "<｜DSML｜{invoke} name=\"$TOOL_NAME2\">\n"
      "...\n"
      "</｜DSML｜{invoke}>\n"
      "</｜DSML｜{block}>\n\n"
      "String parameters should be specified as is and set `string=\"true\"`. For all other types (numbers, booleans, "
      "arrays, objects), pass the value in JSON format and set `string=\"false\"`.\n\n"
      "If thinking_mode is enabled (triggered by <think>), you MUST output your complete reasoning inside "
      "<think>...</think> BEFORE any tool calls or final response.\n\n"
      "Otherwise, output directly after </think> with tool calls or final response.\n\n"
      "### Available Tool Schemas\n\n",
      fmt::arg("block", tags.block), fmt::arg("invoke", tags.invoke), fmt::arg("parameter", tags.parameter));
}

const std::string_view kToolsTail =
    "\n\nYou MUST strictly follow the above defined tool name and parameter schemas to invoke tool calls.\n";

}  // namespace hadal::v4
