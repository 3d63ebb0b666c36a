#include "help_text.h"

#include <fmt/format.h>

namespace hadal::cli {
namespace {

constexpr size_t kNameColumns = 30;  // names that are wider stand on a line of their own
constexpr size_t kLineColumns = 100;

// Appends words to the text, which stands at `column`, and goes on at kNameColumns when a line is full.
void append_wrapped(std::string& text, size_t column, std::string_view words) {
  bool is_first = true;
  while (!words.empty()) {
    const size_t space = words.find(' ');
    const std::string_view word = words.substr(0, space);
    words.remove_prefix(space == std::string_view::npos ? words.size() : space + 1);
    if (!is_first && column + 1 + word.size() > kLineColumns) {
      text += "\n" + std::string(kNameColumns, ' ');
      column = kNameColumns;
      is_first = true;
    }
    if (!is_first) text += ' ';
    text += word;
    column += word.size() + (is_first ? 0 : 1);
    is_first = false;
  }
  text += "\n";
}

void append_row(std::string& text, const std::string& name, std::string_view help) {
  text += "  " + name;
  size_t column = 2 + name.size();
  if (column + 2 > kNameColumns) {
    text += "\n";
    column = 0;
  }
  text.append(kNameColumns - column, ' ');
  append_wrapped(text, kNameColumns, help);
}

// "-p, --prompt TEXT", "    --mode fast|exact": long names stand below each other.
std::string shown_names(const OptionFacts& option) {
  const bool has_short_name = option.names.front().size() == 2;
  std::string names = fmt::format("{}{}", has_short_name ? "" : "    ", fmt::join(option.names, ", "));
  if (!option.placeholder.empty()) names += " " + option.placeholder;
  return names;
}

}  // namespace

std::string help_text(const CommandFacts& command, const std::vector<CommandFacts>& commands) {
  std::string text =
      fmt::format("{}\n\nUsage: {}{}\n", command.summary, usage_line(command), commands.empty() ? "" : " COMMAND");
  if (!commands.empty()) text += "\nCommands:\n";
  for (const CommandFacts& one : commands) append_row(text, std::string(one.word()), one.summary);
  if (!command.arguments.empty()) text += "\nArguments:\n";
  for (const OptionFacts& argument : command.arguments) append_row(text, argument.names.front(), argument.help);
  for (const std::string& group : option_groups(command)) {
    text += fmt::format("\n{}:\n", group);
    for (const OptionFacts& option : command.options) {
      if (option.group != group) continue;
      append_row(text, shown_names(option), option.help + (option.is_required ? " (required)" : ""));
    }
  }
  if (!command.notes.empty()) text += "\n" + command.notes + "\n";
  if (!command.examples.empty()) text += "\nExamples:\n" + command.examples + "\n";
  return text;
}

}  // namespace hadal::cli
