#include "command_facts.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

namespace hadal::cli {
namespace {

constexpr std::string_view kExamples[] = {"Examples:\n", "Example:\n"};

// CLI11's type of a value, with the validators behind colons: "TEXT:{fast,exact}", "INT:INT in [0 - 4096]".
std::string first_part(const std::string& type) {
  return type.substr(0, type.find(':'));
}

std::vector<std::string> choices_of(const std::string& type) {
  const size_t open = type.find(":{");
  const size_t close = type.find('}', open == std::string::npos ? 0 : open);
  if (open == std::string::npos || close == std::string::npos) return {};
  return CLI::detail::split(type.substr(open + 2, close - open - 2), ',');
}

// A longer list of choices breaks the line of a page; the command's footer explains them.
constexpr size_t kChoicesColumnsMax = 60;

std::string placeholder_of(const CLI::Option& option, const std::vector<std::string>& choices) {
  if (option.get_type_size() == 0) return "";
  const std::string list = fmt::format("{}", fmt::join(choices, "|"));
  if (!list.empty() && list.size() <= kChoicesColumnsMax) return list;
  std::string word = first_part(option.get_type_name());
  if (word == "INT" || word == "UINT") word = "N";
  if (word == "FLOAT") word = "X";
  return option.get_delimiter() == '\0' ? word : fmt::format("{}[,{}...]", word, word);
}

std::string names_of(const std::set<CLI::Option*>& options) {
  std::vector<std::string> names;
  for (const CLI::Option* option : options) names.push_back(option->get_name());
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string help_of(const CLI::Option& option) {
  std::string help = option.get_description();
  if (!option.get_needs().empty()) help += fmt::format("; with {}", names_of(option.get_needs()));
  if (!option.get_excludes().empty()) help += fmt::format("; not with {}", names_of(option.get_excludes()));
  std::string value = option.get_default_str();
  if (value.starts_with('[') && value.ends_with(']')) value = value.substr(1, value.size() - 2);
  if (!value.empty()) help += fmt::format(" (default: {})", value);
  return help;
}

OptionFacts option_facts(const CLI::Option& option) {
  const std::string type = option.get_type_size() == 0 ? "" : option.get_type_name();
  OptionFacts facts;
  if (option.get_positional()) {
    facts.names = {option.get_name(true, false)};
  } else {
    for (const std::string& name : option.get_snames()) facts.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) facts.names.push_back("--" + name);
  }
  facts.choices = choices_of(type);
  facts.placeholder = placeholder_of(option, facts.choices);
  facts.help = help_of(option);
  facts.group = option.get_group();
  facts.is_required = option.get_required();
  facts.names_a_path = facts.placeholder == "FILE" || facts.placeholder == "FOLDER" || facts.placeholder == "PATH";
  return facts;
}

}  // namespace

std::string_view CommandFacts::word() const {
  const size_t space = name.rfind(' ');
  return std::string_view(name).substr(space == std::string::npos ? 0 : space + 1);
}

CommandFacts command_facts(const CLI::App& command) {
  CommandFacts facts;
  const CLI::App* parent = command.get_parent();
  facts.name = parent == nullptr ? command.get_name() : parent->get_name() + " " + command.get_name();
  facts.summary = command.get_description();
  for (const CLI::Option* option : command.get_options({})) {
    (option->get_positional() ? facts.arguments : facts.options).push_back(option_facts(*option));
  }
  facts.notes = command.get_footer();
  for (const std::string_view heading : kExamples) {
    const size_t at = facts.notes.find(heading);
    if (at == std::string::npos) continue;
    facts.examples = facts.notes.substr(at + heading.size());
    facts.notes.resize(at);
    break;
  }
  while (facts.notes.ends_with('\n')) facts.notes.pop_back();
  return facts;
}

ProgramFacts program_facts(const CLI::App& app) {
  ProgramFacts facts{.program = command_facts(app), .commands = {}};
  for (const CLI::App* command : app.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); })) {
    facts.commands.push_back(command_facts(*command));
  }
  return facts;
}

std::string usage_line(const CommandFacts& command) {
  std::string line = command.name + " [OPTION]...";
  for (const OptionFacts& argument : command.arguments) {
    const std::string& name = argument.names.front();
    line += argument.is_required ? " " + name : " [" + name + "]";
  }
  return line;
}

std::vector<std::string> option_groups(const CommandFacts& command) {
  std::vector<std::string> groups;
  for (const OptionFacts& option : command.options) {
    if (std::find(groups.begin(), groups.end(), option.group) == groups.end()) groups.push_back(option.group);
  }
  return groups;
}

}  // namespace hadal::cli
