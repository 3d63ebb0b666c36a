#include "hub/retry.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/format.h"

namespace hadal::hub {

std::optional<int64_t> retry_delay_ms(const RetryPolicy& policy, int failed_tries,
                                      std::optional<int64_t> retry_after_s) {
  if (failed_tries >= policy.tries_max) return std::nullopt;
  int64_t delay_ms = policy.delay_ms_first;
  for (int i = 1; i < failed_tries && delay_ms < policy.delay_ms_max; ++i) delay_ms *= 2;
  delay_ms = std::min(delay_ms, policy.delay_ms_max);
  if (!retry_after_s) return delay_ms;
  if (*retry_after_s > policy.retry_after_s_max) return std::nullopt;
  return std::max(delay_ms, *retry_after_s * 1000);
}

bool is_transient_status(int status) {
  return status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505);
}

Error status_error(const HttpAnswer& answer, const std::string& place, bool has_token) {
  Error error{.code = ErrorCode::kIo,
              .what = "the hub does not give the file",
              .in = place,
              .want = "",
              .found = fmt::format("HTTP status {}", answer.status),
              .hint = ""};
  const std::string token = has_token ? "the token may lack the right to read this model"
                                      : "for a private or gated model set HADAL_HUB_TOKEN, or give --token-file FILE";
  switch (answer.status) {
    case 401:
      error.code = ErrorCode::kNotFound;
      error.what = "the hub has no such model, or shows it only to those whom it knows";
      error.hint = "is the name right? " + token;
      break;
    case 403:
      error.code = ErrorCode::kInvalid;
      error.what = "the hub does not let you have this model";
      error.hint = "its terms may have to be accepted on its page first; " + token;
      break;
    case 404:
      error.code = ErrorCode::kNotFound;
      error.what = answer.error_code == "RevisionNotFound" ? "the model has no such revision"
                                                           : "the hub has no such model, revision or file";
      error.hint = "is the name right, and the revision (@BRANCH, @TAG or @COMMIT)?";
      break;
    case 416:
      error.code = ErrorCode::kCorrupt;
      error.what = "the hub's file is shorter than the hub says";
      error.hint = "try again later, or another hub (--hub) or mirror (--mirror)";
      break;
    case 429:
      error.what = "the hub has had too many requests from here";
      error.hint = answer.retry_after_s ? fmt::format("it asks to wait for {}; what is here already is kept",
                                                      format_seconds(static_cast<double>(*answer.retry_after_s)))
                                        : "wait a while, or set HADAL_HUB_TOKEN; what is here already is kept";
      break;
    default:
      if (answer.status >= 500) {
        error.what = "the hub has trouble of its own";
        error.hint = "try again later; what is here already is kept";
      }
  }
  return error;
}

}  // namespace hadal::hub
