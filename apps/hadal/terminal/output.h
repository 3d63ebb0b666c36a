// Writing to the standard streams, which may be full, closed or gone.
#pragma once

#include <cstdio>
#include <string_view>

#include "base/result.h"

namespace hadal {

// Writes and flushes all of it. Io when the stream takes less.
[[nodiscard]] Result<void> write_output(std::FILE* stream, std::string_view text);

// To stderr, for people: that nobody can read it is no reason to stop.
void write_notice(std::string_view text);

}  // namespace hadal
