#include "ops/tasks.h"

#include <algorithm>

namespace hadal::ops {

// 256 KiB from cache take about 5 microseconds; a task costs a spinning pool well under one, a sleeping one about five
// for the whole call.
constexpr int64_t kTaskBytes = int64_t{256} << 10;

int64_t rows_per_task(int64_t bytes_per_row) {
  return std::max<int64_t>(1, kTaskBytes / std::max<int64_t>(1, bytes_per_row));
}

}  // namespace hadal::ops
