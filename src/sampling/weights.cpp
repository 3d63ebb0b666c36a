#include "sampling/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace hadal {
namespace {

// 16 lanes fill the registers of every instruction set with a few independent chains.
constexpr size_t kLanes = 16;
constexpr float kLargest = std::numeric_limits<float>::max();
constexpr float kNever = -std::numeric_limits<float>::infinity();

// Adding 1.5 * 2^52 rounds a small double to an integer and leaves that integer in the low bits (two's complement).
constexpr double kRounder = 0x1.8p52;
// 2^-64 has the weight 0: low enough for the lower end of the exponential.
constexpr double kExponentMin = -64;
constexpr double kLog2E = 1.44269504088896340736;

// ln(2)^k / k!: the series of 2^f. For |f| <= 1/2 the next term is 7.1e-9 * 2^-10, less than 2^-36 of it.
constexpr std::array<double, 10> kExp2 = {1.0,
                                          0.69314718055994531,
                                          0.24022650695910072,
                                          0.055504108664821580,
                                          0.0096181291076284772,
                                          0.0013333558146428443,
                                          0.00015403530393381609,
                                          1.5252733804059841e-05,
                                          1.3215486790144309e-06,
                                          1.0178086009239699e-07};

// round(2^40 * 2^y) for y in about [-64, 0]. Without branches and calls, so that loops over it vectorise.
inline uint64_t weight_of(double y) {
  const double rounded = y + kRounder;
  const double f = y - (rounded - kRounder);
  double power = kExp2[9];
  for (size_t k = 9; k-- > 0;) power = power * f + kExp2[k];
  // 2^n * power: n is added to the exponent field, which begins at bit 52.
  const uint64_t bits = std::bit_cast<uint64_t>(power) + (std::bit_cast<uint64_t>(rounded) << 52);
  const double scaled = std::bit_cast<double>(bits) * static_cast<double>(kWeightOne);
  // Below 2^52 the low bits of 2^52 + x are x, rounded to nearest.
  return std::bit_cast<uint64_t>(scaled + 0x1p52) - std::bit_cast<uint64_t>(0x1p52);
}

Error bad_logit(std::span<const float> logits) {
  const auto bad = std::find_if(logits.begin(), logits.end(), [](float z) { return !(z <= kLargest); });
  return {.code = ErrorCode::kCorrupt,
          .what = "logit is not a number",
          .in = fmt::format("logits, token {}", bad - logits.begin()),
          .want = "a finite number",
          .found = std::isnan(*bad) ? "nan" : "infinity",
          .hint = "the model's weights or its numbers are broken; `hadal compare` shows the first layer that differs"};
}

}  // namespace

Result<float> check_and_max(std::span<const float> logits) {
  std::array<float, kLanes> best;
  std::array<uint32_t, kLanes> n_bad{};
  best.fill(kNever);
  const auto visit = [&best, &n_bad](float z, size_t lane) {
    best[lane] = z > best[lane] ? z : best[lane];
    n_bad[lane] += z <= kLargest ? 0u : 1u;  // NaN and +infinity
  };
  const size_t n_whole = logits.size() / kLanes * kLanes;
  for (size_t i = 0; i < n_whole; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) visit(logits[i + lane], lane);
  }
  for (size_t i = n_whole; i < logits.size(); ++i) visit(logits[i], i - n_whole);

  if (std::any_of(n_bad.begin(), n_bad.end(), [](uint32_t n) { return n != 0; })) return bad_logit(logits);
  const float max = *std::max_element(best.begin(), best.end());
  if (max == kNever) {
    return Error{.code = ErrorCode::kCorrupt,
                 .what = "no token is allowed",
                 .in = "logits",
                 .want = "at least one that is not -infinity",
                 .found = fmt::format("{} of -infinity", logits.size()),
                 .hint = ""};
  }
  return max;
}

TokenId first_equal(std::span<const float> logits, float max) {
  return static_cast<TokenId>(std::find(logits.begin(), logits.end(), max) - logits.begin());
}

void weigh(std::span<const float> logits, float max, double temperature, std::span<uint64_t> weights) {
  const double scale = kLog2E / temperature;
  const double top = max;
  const double bottom = top + kExponentMin / scale;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double z = logits[i];
    weights[i] = weight_of(((z > bottom ? z : bottom) - top) * scale);
  }
}

uint64_t sum(std::span<const uint64_t> weights) {
  uint64_t total = 0;
  for (const uint64_t weight : weights) total += weight;
  return total;
}

uint64_t scale_to(uint64_t bits, uint64_t total) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(bits) * total) >> 64);
}

}  // namespace hadal
