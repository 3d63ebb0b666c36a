// Q8_0, Q4_0, MXFP4: one scale per 32 values, from the largest of them.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/blocks/block_encoders.h"
#include "base/blocks/block_fit.h"
#include "base/dtype.h"

namespace hadal {
namespace {

constexpr int kValues = 32;

float largest_of(const float* values) {
  return *std::max_element(values, values + kValues, [](float a, float b) { return std::abs(a) < std::abs(b); });
}

void put_f16(float value, std::byte* at) {
  const uint16_t code = f32_to_f16(value);
  std::memcpy(at, &code, sizeof code);
}

}  // namespace

// d = largest / 127; codes against the exact d, as everybody does it.
void encode_q8_0(const float* values, const float*, std::byte* block) {
  const float d = std::abs(largest_of(values)) / 127.0f;
  put_f16(d, block);
  for (int i = 0; i < kValues; ++i) block[2 + i] = static_cast<std::byte>(nearest_code(values[i], d, -127, 127));
}

// The value of largest magnitude becomes -8, whichever its sign.
void encode_q4_0(const float* values, const float*, std::byte* block) {
  const float d = largest_of(values) / -8.0f;
  put_f16(d, block);
  const auto code = [&](int i) { return static_cast<unsigned>(nearest_code(values[i], d, -8, 7) + 8); };
  for (int j = 0; j < 16; ++j) block[2 + j] = static_cast<std::byte>(code(j) | code(j + 16) << 4);
}

// e = floor(log2(largest)) - 2: the largest lies in the last binade of E2M1, which ends at 6.
void encode_mxfp4(const float* values, const float*, std::byte* block) {
  const float largest = std::abs(largest_of(values));
  const int e = largest == 0 ? 0 : std::clamp(std::ilogb(largest) - 2 + 127, 0, 254);
  block[0] = static_cast<std::byte>(e);
  const float inverse = std::ldexp(1.0f, 127 - e);
  const auto code = [&](int i) { return static_cast<unsigned>(f32_to_e2m1(values[i] * inverse)); };
  for (int j = 0; j < 16; ++j) block[1 + j] = static_cast<std::byte>(code(j) | code(j + 16) << 4);
}

}  // namespace hadal
