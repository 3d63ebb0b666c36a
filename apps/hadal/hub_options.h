// Which hub a command asks, as whom, and how patiently.
#pragma once

#include <string>

#include "base/result.h"
#include "hub/pull.h"

namespace CLI {
class App;
}

namespace hadal::cli {

struct HubOptions {
  std::string hub;         // empty: HADAL_HUB, HF_ENDPOINT or the default
  std::string mirror;      // empty: HADAL_HUB_MIRROR or none
  std::string token_file;  // empty: HADAL_HUB_TOKEN, HF_TOKEN or none
  int connections = 8;
  int timeout_s = 30;
  int tries = 6;

  // Adds --hub, --mirror, --token-file, --connections, --timeout, --tries.
  void add_to(CLI::App& command);

  // Fills in hub, mirror, token and patience. Errors: an address or a token that cannot be used, never with the token
  // in them.
  Result<void> apply(hub::PullRequest& request) const;
};

}  // namespace hadal::cli
