#include "inspect_state.h"

namespace hadal::cli {

Result<int> inspect_state(const fs::path& path, bool) {
  return Error{.code = ErrorCode::kUnsupported,
               .what = "not a file that can be inspected",
               .in = path.string(),
               .want = "a model's folder, a .safetensors file or its index",
               .found = "another file",
               .hint = ""};
}

}  // namespace hadal::cli
