// The whole command line: all commands on one CLI11 app, its help, and what is said about wrong usage.
#pragma once

#include <CLI/CLI.hpp>

#include "commands.h"

namespace hadal::cli {

// Declares every command. The one that is chosen leaves its work in `action`; both must outlive the parsing.
void declare_commands(CLI::App& app, Action& action);

// What stderr shows of an error, line feed included: as people read it, or {"error": {"code", "what", "in", "want",
// "found", "hint"}}.
std::string error_text(const Error& error, bool as_json);

// What was wrong with the arguments, in the form of every other error.
Error usage_error(const CLI::App& app, const CLI::ParseError& error, int argc, const char* const* argv);

}  // namespace hadal::cli
