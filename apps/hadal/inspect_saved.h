// The part of `hadal inspect` that knows what a chat saves: NAME.state and NAME.json (saved_conversation.h).
#pragma once

#include "base/io.h"
#include "base/result.h"

namespace hadal::cli {

// Tells what the file holds and returns the exit code: 1 when a state fails its checksum. The content decides, not the
// name. Errors: Unsupported when it is neither, Corrupt, NotFound, Io.
Result<int> inspect_saved(const fs::path& path, bool json);

}  // namespace hadal::cli
