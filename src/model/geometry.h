// The sizes of released models, and of one that was only announced ("seed"), as the config.json of a checkpoint.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "model/procedural.h"

namespace hadal {

std::vector<std::string_view> geometry_names();

// How the release of that name stores its matrices.
PublishedFormat geometry_format(std::string_view name);

// config.json of a released geometry, cut to its first `layers` trunk layers (0: all), with or without the draft layer.
// Errors: Invalid (unknown name, too many layers).
Result<json::Value> geometry_config(std::string_view name, int64_t layers, bool has_draft);

}  // namespace hadal
