#include "device/tensor.h"

#include "base/check.h"

namespace hadal {

Weight Weight::row_slice(int64_t begin, int64_t n) const {
  HADAL_CHECK(begin >= 0 && n >= 0 && begin + n <= rows, "row slice", begin, n, "of", rows);
  Weight slice = *this;
  slice.rows = n;
  slice.data = data + begin * row_bytes();
  if (scale != nullptr) {
    HADAL_CHECK(begin % scale_rows == 0, "row slice inside a scale block", begin, scale_rows);
    slice.scale = scale + begin / scale_rows * scale_stride() * dtype_bits(scale_dtype) / 8;
  }
  return slice;
}

}  // namespace hadal
