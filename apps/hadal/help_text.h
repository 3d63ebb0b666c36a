// What --help prints.
#pragma once

#include <string>
#include <vector>

#include "command_facts.h"

namespace hadal::cli {

// Usage, arguments, options by group, notes and examples of one command; `commands` are listed behind the options.
std::string help_text(const CommandFacts& command, const std::vector<CommandFacts>& commands);

}  // namespace hadal::cli
