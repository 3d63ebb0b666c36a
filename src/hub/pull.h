// A model from a hub: what is asked for, what that comes to, and the fetching.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "hub/fetch.h"
#include "hub/store.h"

namespace hadal::hub {

struct PullRequest {
  ModelName name;             // without a revision: main
  std::string gguf;           // pattern of the GGUF files to fetch; empty: safetensors
  Url hub;                    // says which files there are, and their checksums; alone gets the token
  std::optional<Url> mirror;  // gives the files, if not the hub; needs no trust, as checksums are the hub's
  fs::path models;
  int64_t now_unix_s = 0;
  FetchOptions fetch;  // http.token_origin is set here
};

struct PullPlan {
  PulledModel model;
  uint64_t missing_bytes = 0;
  bool is_here = false;  // all of it: nothing is to be fetched
  std::string index;     // its text, which had to be read to know the shards
};

// Asks the hub; writes nothing. Errors: of parse_repository, weight_files, status_error and the connection.
Result<PullPlan> plan_pull(PullRequest request);

// Fetches what is missing. The caller holds the model's lock, taken before the plan was made. Limit when the disk has
// too little space, before anything is fetched; errors of fetch_files. Whatever happens, the same pull goes on from
// where this one ended.
Result<PulledModel> carry_out(PullRequest request, PullPlan plan, std::atomic<uint64_t>& fetched_bytes);

}  // namespace hadal::hub
