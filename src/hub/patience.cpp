#include "hub/patience.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace hadal::hub {

Error cancelled() {
  return {.code = ErrorCode::kCancelled, .what = "stopped", .in = "", .want = "", .found = "", .hint = ""};
}

Result<void> Patience::wait_after(const HttpOutcome& outcome, const std::string& place, bool has_token) {
  if (is_cancelled_()) return cancelled();
  const bool is_connection = outcome.end == HttpOutcome::End::kFailed;
  Error error = is_connection && outcome.error ? *outcome.error : status_error(outcome.answer, place, has_token);
  const bool may_help = is_connection ? outcome.is_transient : is_transient_status(outcome.answer.status);
  if (!may_help) return error;
  ++failed_tries_;
  const auto delay_ms = retry_delay_ms(policy_, failed_tries_, outcome.answer.retry_after_s);
  if (!delay_ms) {
    if (failed_tries_ > 1) error.found += fmt::format(", {} times in a row", failed_tries_);
    return error;
  }
  constexpr std::chrono::milliseconds kSlice(50);  // how soon Ctrl-C is seen
  const auto due = std::chrono::steady_clock::now() + std::chrono::milliseconds(*delay_ms);
  while (std::chrono::steady_clock::now() < due) {
    if (is_cancelled_()) return cancelled();
    std::this_thread::sleep_for(
        std::min<std::chrono::steady_clock::duration>(kSlice, due - std::chrono::steady_clock::now()));
  }
  return {};
}

}  // namespace hadal::hub
