#include "completions.h"

#include <fmt/format.h>

#include <algorithm>

namespace hadal::cli {
namespace {

// ---- bash ----

// A function of bash alone: the package bash-completion need not be there.
constexpr std::string_view kBash = R"(# bash completion for hadal. To load it: source <(hadal completions bash)
_hadal() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} command= words= i
  # bash takes --mode=fast for three words.
  if [[ $current == "=" ]]; then
    current=
  elif [[ $before == "=" ]]; then
    before=${{COMP_WORDS[COMP_CWORD - 2]}}
  fi
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${{COMP_WORDS[i]}} in
      {commands_or}) command=${{COMP_WORDS[i]}}; break ;;
    esac
  done
  case "$command $before" in
{values}  esac
  if [[ -z $words ]]; then
    case $command in
      "") words="{commands} {program_options}" ;;
{options}    esac
    if [[ $command && $current != -* ]]; then
      case $command in
{arguments}        *) return ;;
      esac
    fi
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
_hadal_files() {{
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -f -- "$1")
}}
complete -F _hadal hadal
)";

std::vector<std::string> option_names(const CommandFacts& command) {
  std::vector<std::string> names;
  for (const OptionFacts& option : command.options) {
    names.insert(names.end(), option.names.begin(), option.names.end());
  }
  return names;
}

std::vector<std::string_view> command_words(const ProgramFacts& facts) {
  std::vector<std::string_view> words;
  for (const CommandFacts& command : facts.commands) words.push_back(command.word());
  return words;
}

// What follows an option that takes a value.
std::string bash_value(const CommandFacts& command, const OptionFacts& option) {
  std::vector<std::string> patterns;
  for (const std::string& name : option.names) patterns.push_back(fmt::format("\"{} {}\"", command.word(), name));
  std::string action = "return";
  if (option.names_a_path) action = "_hadal_files \"$current\"; return";
  if (!option.choices.empty()) action = fmt::format("words=\"{}\"", fmt::join(option.choices, " "));
  return fmt::format("    {}) {} ;;\n", fmt::join(patterns, " | "), action);
}

std::string bash_argument(const CommandFacts& command) {
  for (const OptionFacts& argument : command.arguments) {
    const std::string words = fmt::format("words=\"{}\"", fmt::join(argument.choices, " "));
    if (!argument.choices.empty()) return fmt::format("        {}) {} ;;\n", command.word(), words);
    if (argument.names_a_path) {
      return fmt::format("        {}) _hadal_files \"$current\"; return ;;\n", command.word());
    }
  }
  return "";
}

// ---- zsh ----

constexpr std::string_view kZsh = R"(#compdef hadal
# zsh completion for hadal. To install it: hadal completions zsh > FOLDER/_hadal, with FOLDER in $fpath.
_hadal() {{
  local context state state_descr line
  typeset -A opt_args
  local -a commands=(
{commands}  )
  _arguments -C {program_options} '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe -t commands command commands ;;
    argument)
      case $words[1] in
{cases}      esac
      ;;
  esac
}}
if [[ $funcstack[1] == _hadal ]]; then
  _hadal "$@"
else
  compdef _hadal hadal
fi
)";

// In single quotes, with a backslash before each of the characters.
std::string single_quoted(std::string_view text, std::string_view escaped) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
      continue;
    }
    if (escaped.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out + "'";
}

// The text inside of single quotes that _arguments takes apart at colons and brackets.
std::string zsh_text(std::string_view text) {
  const std::string quoted = single_quoted(text, "\\:[]");
  return quoted.substr(1, quoted.size() - 2);
}

std::string zsh_action(const OptionFacts& option) {
  if (!option.choices.empty()) return fmt::format("({})", fmt::join(option.choices, " "));
  return option.names_a_path ? "_files" : " ";
}

// '(-p --prompt)'{-p+,--prompt=}'[The prompt]:TEXT: '
std::string zsh_option(const OptionFacts& option) {
  const bool has_value = !option.placeholder.empty();
  std::vector<std::string> names;
  for (const std::string& name : option.names) {
    names.push_back(name + (!has_value ? "" : name.starts_with("--") ? "=" : "+"));
  }
  std::string spec = fmt::format("[{}]", zsh_text(option.help));
  if (has_value) spec += fmt::format(":{}:{}", zsh_text(option.names.back()), zsh_action(option));
  if (names.size() == 1) return fmt::format("'{}{}'", names.front(), spec);
  return fmt::format("'({})'{{{}}}'{}'", fmt::join(option.names, " "), fmt::join(names, ","), spec);
}

std::string zsh_options(const CommandFacts& command, std::string_view between) {
  std::vector<std::string> specs;
  for (const OptionFacts& option : command.options) specs.push_back(zsh_option(option));
  for (size_t i = 0; i < command.arguments.size(); ++i) {
    const OptionFacts& argument = command.arguments[i];
    specs.push_back(fmt::format("'{}:{}:{}'", i + 1, zsh_text(argument.names.front()), zsh_action(argument)));
  }
  return fmt::format("{}", fmt::join(specs, between));
}

// ---- fish ----

std::string fish_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string fish_option(const std::string& condition, const OptionFacts& option) {
  std::string line = "complete -c hadal -n " + fish_quoted(condition);
  for (const std::string& name : option.names) {
    line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  if (!option.choices.empty()) {
    line += " -x -a " + fish_quoted(fmt::format("{}", fmt::join(option.choices, " ")));
  } else if (option.names_a_path) {
    line += " -r -F";
  } else if (!option.placeholder.empty()) {
    line += " -x";
  }
  return line + " -d " + fish_quoted(option.help) + "\n";
}

}  // namespace

std::string bash_completions(const ProgramFacts& facts) {
  std::string values;
  std::string options;
  std::string arguments;
  for (const CommandFacts& command : facts.commands) {
    for (const OptionFacts& option : command.options) {
      if (!option.placeholder.empty()) values += bash_value(command, option);
    }
    options += fmt::format("      {}) words=\"{}\" ;;\n", command.word(), fmt::join(option_names(command), " "));
    arguments += bash_argument(command);
  }
  const std::vector<std::string_view> words = command_words(facts);
  return fmt::format(kBash, fmt::arg("commands", fmt::join(words, " ")),
                     fmt::arg("commands_or", fmt::join(words, " | ")),
                     fmt::arg("program_options", fmt::join(option_names(facts.program), " ")),
                     fmt::arg("values", values), fmt::arg("options", options), fmt::arg("arguments", arguments));
}

std::string zsh_completions(const ProgramFacts& facts) {
  std::string commands;
  std::string cases;
  for (const CommandFacts& command : facts.commands) {
    commands += fmt::format("    '{}:{}'\n", command.word(), zsh_text(command.summary));
    cases += fmt::format("        {})\n          _arguments \\\n            {} ;;\n", command.word(),
                         zsh_options(command, " \\\n            "));
  }
  return fmt::format(kZsh, fmt::arg("commands", commands), fmt::arg("program_options", zsh_options(facts.program, " ")),
                     fmt::arg("cases", cases));
}

std::string fish_completions(const ProgramFacts& facts) {
  std::string text = "# fish completion for hadal. To load it: hadal completions fish | source\ncomplete -c hadal -f\n";
  for (const OptionFacts& option : facts.program.options) text += fish_option("__fish_use_subcommand", option);
  for (const CommandFacts& command : facts.commands) {
    text += fmt::format("complete -c hadal -n __fish_use_subcommand -a {} -d {}\n", command.word(),
                        fish_quoted(command.summary));
    const std::string inside = fmt::format("__fish_seen_subcommand_from {}", command.word());
    for (const OptionFacts& option : command.options) text += fish_option(inside, option);
    for (const OptionFacts& argument : command.arguments) {
      const std::string condition = "complete -c hadal -n " + fish_quoted(inside);
      if (argument.names_a_path) text += condition + " -F\n";
      if (!argument.choices.empty()) {
        text += fmt::format("{} -a {}\n", condition, fish_quoted(fmt::format("{}", fmt::join(argument.choices, " "))));
      }
    }
  }
  return text;
}

}  // namespace hadal::cli
