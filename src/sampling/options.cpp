#include "sampling/options.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <string>
#include <string_view>

namespace hadal {
namespace {

Error out_of_range(std::string_view option, std::string want, std::string found) {
  return {.code = ErrorCode::kInvalid,
          .what = "sampling option is out of range",
          .in = std::string(option),
          .want = std::move(want),
          .found = std::move(found),
          .hint = ""};
}

// NaN is outside every range.
Result<void> check_range(std::string_view option, double value, double low, double high) {
  if (value >= low && value <= high) return {};
  return out_of_range(option, fmt::format("{} to {}", low, high), fmt::format("{}", value));
}

Result<void> check_integer(std::string_view option, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return {};
  return out_of_range(option, fmt::format("{} to {}", low, high), fmt::format("{}", value));
}

Result<void> check_logit_bias(const std::map<TokenId, float>& bias, int64_t vocab_size) {
  if (bias.size() > kLogitBiasEntriesMax) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "logit_bias has too many entries",
                 .in = "logit_bias",
                 .want = fmt::format("at most {}", kLogitBiasEntriesMax),
                 .found = fmt::format("{}", bias.size()),
                 .hint = ""};
  }
  for (const auto& [token, value] : bias) {
    if (token < 0 || token >= vocab_size) {
      return out_of_range("logit_bias", fmt::format("token ids 0 to {}", vocab_size - 1), fmt::format("{}", token));
    }
    HADAL_TRY(check_range(fmt::format("logit_bias[{}]", token), value, -kLogitBiasMax, kLogitBiasMax));
  }
  return {};
}

}  // namespace

Result<void> check(const SamplingOptions& options, int64_t vocab_size) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  HADAL_TRY(check_range("temperature", options.temperature, 0, kTemperatureMax));
  HADAL_TRY(check_integer("top_k", options.top_k, 0, kMost));
  HADAL_TRY(check_range("top_p", options.top_p, 0, 1));
  HADAL_TRY(check_range("min_p", options.min_p, 0, 1));
  HADAL_TRY(
      check_range("repetition_penalty", options.repetition_penalty, kRepetitionPenaltyMin, kRepetitionPenaltyMax));
  HADAL_TRY(check_integer("repetition_window", options.repetition_window, -1, kMost));
  HADAL_TRY(check_range("presence_penalty", options.presence_penalty, -kOccurrencePenaltyMax, kOccurrencePenaltyMax));
  HADAL_TRY(check_range("frequency_penalty", options.frequency_penalty, -kOccurrencePenaltyMax, kOccurrencePenaltyMax));
  HADAL_TRY(check_integer("logprobs", options.logprobs.value_or(0), 0, kTopLogprobsMax));
  return check_logit_bias(options.logit_bias, vocab_size);
}

}  // namespace hadal
