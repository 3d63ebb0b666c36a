#include <algorithm>
#include <vector>

#include "ops/compressor_rows/compressor_rows.h"

namespace hadal::ops {

// Every row by name: row r is that of position first + r.
void compressor_rows_reference(CpuDevice&, const CompressorRows& op) {
  const int64_t width = op.width();
  for (int64_t part = 0; part < 2; ++part) {
    const float* fresh = part == 0 ? op.fresh_k : op.fresh_z;
    float* previous = op.coff == 2 ? op.previous + part * op.m * op.d : nullptr;
    float* pending = op.pending + part * (op.m - 1) * width;
    std::vector<float> rows(static_cast<size_t>(op.n_rows() * width));
    for (int64_t r = 0; r < op.n_rows(); ++r) {
      const int64_t waited = r - op.n_before();
      const int64_t t = waited - op.n_pending();
      const float* from = r < op.n_before() ? previous + r * op.d
                          : t < 0           ? pending + waited * width
                                            : fresh + t * width;
      std::copy_n(from, r < op.n_before() ? op.d : width, rows.data() + r * width);
    }
    if (op.n_groups() > 0) {
      for (int64_t r = 0; r < op.n_rows(); ++r) {
        // Behind the first half of a group before, nothing is said.
        std::copy_n(rows.data() + r * width, r < op.n_before() ? op.d : width,
                    op.rows + (part * op.n_rows() + r) * width);
      }
    }
    const int64_t end = op.n_rows() - op.n_left();  // of the complete groups
    for (int64_t r = 0; r < op.m && op.coff == 2 && op.n_groups() > 0; ++r) {
      std::copy_n(rows.data() + (end - op.m + r) * width, op.d, previous + r * op.d);
    }
    for (int64_t r = 0; r < op.n_left(); ++r) std::copy_n(rows.data() + (end + r) * width, width, pending + r * width);
  }
}

}  // namespace hadal::ops
