// The fields of each API that Hadal knows: used, ignored on purpose, or refused by name. Others are counted, because
// agents add fields at every release, or refused with --strict-params.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace hadal::server {

enum class Api { kChat, kCompletions, kResponses, kMessages, kOllama, kOther };

// Names at the top of the body that nobody reads.
std::vector<std::string> unknown_fields(Api api, const json::Value& body);

}  // namespace hadal::server
