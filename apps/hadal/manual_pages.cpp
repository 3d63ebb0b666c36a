#include "manual_pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace hadal::cli {
namespace {

constexpr std::string_view kExitStatus =
    ".SH EXIT STATUS\n"
    ".TP\n.B 0\nIt worked.\n"
    ".TP\n.B 1\nSomething failed; standard error says what, where, what was expected and what was found.\n"
    ".TP\n.B 2\nWrong usage.\n"
    ".TP\n.B 130\nInterrupted with Ctrl-C.\n";

constexpr std::string_view kEnvironment =
    ".SH ENVIRONMENT\n"
    ".TP\n.B NO_COLOR\nNo colours and no dimmed text, whatever the terminal can show.\n"
    ".TP\n.B XDG_STATE_HOME\nSaved conversations and the history of typed lines lie below its folder\n"
    ".IR hadal ;\nwithout it, below\n.IR ~/.local/state .\n";

// Text as roff takes it literally: what it would read as a dash, a quotation mark or a request is escaped.
std::string roff(std::string_view text) {
  std::string out;
  bool begins_line = true;
  for (const char c : text) {
    if (begins_line && (c == '.' || c == '\'')) out += "\\&";
    begins_line = c == '\n';
    switch (c) {
      case '\\':
        out += "\\e";
        break;
      case '-':
        out += "\\-";
        break;
      case '\'':
        out += "\\(aq";
        break;
      case '`':
        out += "\\(ga";
        break;
      case '~':
        out += "\\(ti";
        break;
      case '^':
        out += "\\(ha";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string page_name(const CommandFacts& command) {
  std::string name = command.name;
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string title(const CommandFacts& command, std::string_view version) {
  return fmt::format(".TH {} 1 \"\" \"hadal {}\" \"User Commands\"\n.SH NAME\n{} \\- {}\n",
                     upper(roff(page_name(command))), version, roff(page_name(command)), roff(command.summary));
}

// The name of a command in bold, what follows as it is: ".B hadal run" and a line for the rest.
std::string synopsis(const CommandFacts& command, std::string_view rest) {
  const std::string line = usage_line(command);
  return fmt::format(".SH SYNOPSIS\n.B {}\n{}{}\n", roff(command.name), roff(line.substr(command.name.size() + 1)),
                     roff(rest));
}

std::string paragraphs(std::string_view notes) {
  std::string text = roff(notes);
  for (size_t at = text.find("\n\n"); at != std::string::npos; at = text.find("\n\n", at))
    text.replace(at, 2, "\n.PP\n");
  return text + "\n";
}

std::string option_entry(const OptionFacts& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.names) names.push_back("\\fB" + roff(name) + "\\fR");
  const std::string value = option.placeholder.empty() ? "" : " \\fI" + roff(option.placeholder) + "\\fR";
  return fmt::format(".TP\n{}{}\n{}{}\n", fmt::join(names, ", "), value, roff(option.help),
                     option.is_required ? " (required)" : "");
}

std::string options(const CommandFacts& command) {
  std::string text;
  if (!command.arguments.empty()) text += ".SH ARGUMENTS\n";
  for (const OptionFacts& argument : command.arguments) {
    text += fmt::format(".TP\n\\fI{}\\fR\n{}\n", roff(argument.names.front()), roff(argument.help));
  }
  for (const std::string& group : option_groups(command)) {
    text += ".SH " + upper(roff(group)) + "\n";
    for (const OptionFacts& option : command.options) {
      if (option.group == group) text += option_entry(option);
    }
  }
  return text;
}

std::string notes_and_examples(const CommandFacts& command) {
  std::string text;
  if (!command.notes.empty()) text += ".SH NOTES\n" + paragraphs(command.notes);
  if (!command.examples.empty()) text += ".SH EXAMPLES\n.nf\n" + roff(command.examples) + "\n.fi\n";
  return text;
}

std::string program_page(const ProgramFacts& facts, std::string_view version) {
  std::string text = title(facts.program, version) + synopsis(facts.program, " COMMAND");
  text += ".SH COMMANDS\n";
  std::string others;
  for (const CommandFacts& command : facts.commands) {
    text += fmt::format(".TP\n.B {}\n{}\n", roff(command.name), roff(command.summary));
    others += fmt::format("{}.BR {} (1)", others.empty() ? "" : " ,\n", roff(page_name(command)));
  }
  text += options(facts.program) + notes_and_examples(facts.program);
  return text + std::string(kExitStatus) + std::string(kEnvironment) + ".SH SEE ALSO\n" + others + "\n";
}

}  // namespace

std::vector<ManualPage> manual_pages(const ProgramFacts& facts, std::string_view version) {
  std::vector<ManualPage> pages = {{page_name(facts.program) + ".1", program_page(facts, version)}};
  for (const CommandFacts& command : facts.commands) {
    pages.push_back({page_name(command) + ".1", title(command, version) + synopsis(command, "") + options(command) +
                                                    notes_and_examples(command) + std::string(kExitStatus) +
                                                    ".SH SEE ALSO\n.BR hadal (1)\n"});
  }
  return pages;
}

}  // namespace hadal::cli
