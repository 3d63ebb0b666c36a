// Man pages (section 1) in roff's man macros.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "command_facts.h"

namespace hadal::cli {

struct ManualPage {
  std::string file_name;  // "hadal-run.1"
  std::string text;
};

// hadal.1 and a page for each command. No date: the same sources give the same bytes.
std::vector<ManualPage> manual_pages(const ProgramFacts& facts, std::string_view version);

}  // namespace hadal::cli
