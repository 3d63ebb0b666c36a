// Files from a hub into a folder: ranges in parallel, resumed, tried again, verified.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "hub/http_client.h"
#include "hub/partial_file.h"
#include "hub/retry.h"

namespace hadal::hub {

struct FetchOptions {
  HttpOptions http;
  RetryPolicy retry;
  int n_connections = 8;
  uint64_t block_bytes = kBlockBytes;
};

// Where a file of the repository is fetched from.
using UrlOfFile = std::function<Url(const HubFile&)>;

// Bytes of the files that are not in the folder yet.
uint64_t missing_bytes(const fs::path& folder, const std::vector<HubFile>& files, uint64_t block_bytes);

// Fetches what is missing. `fetched_bytes` grows while it works. When it ends, each file of the list has its name and
// its checksum, or there is an Error and all that was fetched stays for a next time. Cancelled when http.is_cancelled.
Result<void> fetch_files(const FetchOptions& options, const fs::path& folder, const std::vector<HubFile>& files,
                         const UrlOfFile& url_of, std::atomic<uint64_t>& fetched_bytes);

// A short answer in memory, with the same patience. Limit when it is longer than bytes_max.
Result<std::string> fetch_text(const FetchOptions& options, const Url& url, uint64_t bytes_max);

}  // namespace hadal::hub
