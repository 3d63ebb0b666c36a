// The part of `hadal inspect` that knows saved states.
#pragma once

#include "base/io.h"
#include "base/result.h"

namespace hadal::cli {

// Tells what the file holds and returns the exit code. Unsupported when it is no saved state.
Result<int> inspect_state(const fs::path& path, bool json);

}  // namespace hadal::cli
