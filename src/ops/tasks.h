// How rows become tasks of the pool.
#pragma once

#include <cstdint>

namespace hadal::ops {

// Rows of one task when each row reads and writes about bytes_per_row: at least 1, and so many that a task outweighs
// handing it out. A call that fits one task never wakes the pool, so decode runs these ops in the caller.
int64_t rows_per_task(int64_t bytes_per_row);

}  // namespace hadal::ops
