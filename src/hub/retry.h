// When a failed request is tried again, and what is said when it is not. Pure: no clock, no randomness.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "hub/http_client.h"

namespace hadal::hub {

struct RetryPolicy {
  int tries_max = 6;  // in a row without progress
  int64_t delay_ms_first = 500;
  int64_t delay_ms_max = 30'000;
  int64_t retry_after_s_max = 120;  // a server that asks for more patience is told to the user instead
};

// How long to wait after `failed_tries` failures in a row (1: the first one); nothing: give up. Doubles from the first
// delay; a server's Retry-After takes its place when it is longer.
std::optional<int64_t> retry_delay_ms(const RetryPolicy& policy, int failed_tries,
                                      std::optional<int64_t> retry_after_s);

// Whether an answer may be another one later: 408, 429, 5xx but 501 and 505.
bool is_transient_status(int status);

// Why a status other than 200 or 206 is the end, in words, with what to do. `place` is what was asked for.
Error status_error(const HttpAnswer& answer, const std::string& place, bool has_token);

}  // namespace hadal::hub
