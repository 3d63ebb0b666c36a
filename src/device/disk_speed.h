// How fast files of a folder come from the disk, not from the page cache.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/io.h"
#include "base/result.h"

namespace hadal {

struct DiskSpeed {
  std::string file;  // that was read: the largest one of the folder
  uint64_t bytes = 0;
  double seconds = 0;
  bool is_direct = false;  // past the page cache; otherwise what was cached makes it look faster

  double bytes_per_s() const { return seconds > 0 ? static_cast<double>(bytes) / seconds : 0; }
};

struct DiskSpeedOptions {
  uint64_t bytes_max = uint64_t{512} << 20;
  double seconds_max = 2;
  std::function<double()> now_s;  // seconds of a clock that does not go back
};

// Reads the beginning of the folder's largest regular file (or the file itself) in blocks of 4 MiB, one after the
// other. Errors: NotFound (no such folder, no file in it), Io.
Result<DiskSpeed> measure_disk_read(const fs::path& path, const DiskSpeedOptions& options);

}  // namespace hadal
