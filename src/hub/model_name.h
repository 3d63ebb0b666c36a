// How a model on a hub is called: OWNER/NAME, with @REVISION where it matters.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace hadal::hub {

struct ModelName {
  std::string owner;
  std::string name;
  std::string revision;  // branch, tag or commit; empty: what is there, or the hub's main branch

  std::string text() const { return owner + "/" + name; }
};

// Owner and name are 1 to 96 letters, digits, '-', '_' and '.', as the hub allows, and begin with a letter or digit:
// both become folders. A revision is what git calls one, without what a path or an address could misread. Invalid.
Result<ModelName> parse_model_name(std::string_view text);

// 40 lower-case hexadecimal digits.
bool is_commit(std::string_view text);

}  // namespace hadal::hub
