// The model that is linked into the binary and answers when no other is named.
#pragma once

#include "formats/model_files.h"

namespace hadal::cli {

inline constexpr const char* kEmbeddedModelName = "v4-tiny";

ModelFiles embedded_model();

}  // namespace hadal::cli
