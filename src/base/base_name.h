// Names of files that strangers wrote: into an index, into a hub's answer.
#pragma once

#include <string_view>

namespace hadal {

// One name in one folder: no separators, no way up, and no control characters, which hide what follows or speak to the
// terminal that shows the name.
bool is_base_name(std::string_view name);

}  // namespace hadal
