// Scripts that teach a shell to complete hadal's commands, options and their values.
#pragma once

#include <string>

#include "command_facts.h"

namespace hadal::cli {

std::string bash_completions(const ProgramFacts& facts);
std::string zsh_completions(const ProgramFacts& facts);
std::string fish_completions(const ProgramFacts& facts);

}  // namespace hadal::cli
