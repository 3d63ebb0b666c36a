// hadal-pull.json: what belongs to a pulled model.
#pragma once

#include <string>
#include <string_view>

#include "hub/store.h"

namespace hadal::hub {

inline constexpr std::string_view kManifestName = "hadal-pull.json";

std::string manifest_text(const PulledModel& model);

// Everything but the folder. Corrupt, with what is wrong: a user may have edited it, or a disk lost half of it.
Result<PulledModel> parse_manifest(std::string_view text, std::string_view place);

}  // namespace hadal::hub
