// Where a model lies: from what the user typed to a path.
#pragma once

#include <string>

#include "base/io.h"
#include "base/result.h"

namespace hadal::cli {

// HADAL_MODELS, or hadal/models below XDG_DATA_HOME, or below ~/.local/share. Invalid when none of them is set to an
// absolute path.
Result<fs::path> models_folder();

// A path that exists stays what it is, and so does one that cannot be a model's name, for whoever opens it to complain
// about. OWNER/NAME[@REVISION] becomes the place of what `hadal pull` fetched; NotFound, with what to do, when that is
// not here or not here in full. Opens no connection.
Result<fs::path> find_model_path(const std::string& argument);

}  // namespace hadal::cli
