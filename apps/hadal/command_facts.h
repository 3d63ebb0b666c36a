// What the command line is, as data: the one source of --help, the man pages and the shell completions.
//
// The commands declare their options on a CLI11 app (cmd_*.cpp); this reads them back. Nothing else looks into CLI11's
// options, and whatever a command declares reaches all three texts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace hadal::cli {

struct OptionFacts {
  std::vector<std::string> names;    // "-p", "--prompt"; an argument has its one name: "model"
  std::string placeholder;           // of its value: "FILE", "N", "fast|exact"; empty: a flag
  std::vector<std::string> choices;  // the values that it takes, if they can be listed
  std::string help;                  // with what it needs or excludes, and its default
  std::string group;                 // "Options", "Sampling", ...
  bool is_required = false;
  bool names_a_path = false;  // the value is a file or a folder
};

struct CommandFacts {
  std::string name;     // "hadal run"; the program itself: "hadal"
  std::string summary;  // "Chat with a model, or get one answer"
  std::vector<OptionFacts> arguments;
  std::vector<OptionFacts> options;
  std::string notes;     // paragraphs; may be empty
  std::string examples;  // indented lines; may be empty

  std::string_view word() const;  // "run": the last word of the name
};

struct ProgramFacts {
  CommandFacts program;
  std::vector<CommandFacts> commands;  // those that --help lists
};

CommandFacts command_facts(const CLI::App& command);
ProgramFacts program_facts(const CLI::App& app);

// "hadal run [OPTION]... [model] [prompt]"
std::string usage_line(const CommandFacts& command);

// The groups of a command's options, in the order of their first option.
std::vector<std::string> option_groups(const CommandFacts& command);

}  // namespace hadal::cli
