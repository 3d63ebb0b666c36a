// Pulled models as people and programs read them.
#pragma once

#include <string>

#include "base/json.h"
#include "hub/store.h"

namespace hadal::cli {

// The first 12 digits of a commit: what tables show and `hadal rm NAME@...` takes.
std::string short_commit(const std::string& commit);

// "2026-11-23 14:05" in UTC; "-" when it is not known.
std::string format_time(int64_t unix_s);

// {"name", "revision", "commit", "hub", "folder", "bytes", "missing_bytes", "is_complete", "pulled_unix_s", "n_files"}
json::Value to_json(const hub::PulledModel& model);

}  // namespace hadal::cli
