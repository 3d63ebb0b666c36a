// Waiting between tries of one request.
#pragma once

#include <functional>
#include <string>

#include "hub/http_client.h"
#include "hub/retry.h"

namespace hadal::hub {

// "stopped": what a cancelled pull ends with.
Error cancelled();

class Patience {
 public:
  Patience(const RetryPolicy& policy, std::function<bool()> is_cancelled)
      : policy_(policy), is_cancelled_(std::move(is_cancelled)) {}

  // After a try that failed: waits until the next one is due, or gives the Error that ends it: the connection's, the
  // status's in words, or Cancelled.
  [[nodiscard]] Result<void> wait_after(const HttpOutcome& outcome, const std::string& place, bool has_token);

  // Something arrived: the next failure is a first one again.
  void progress() { failed_tries_ = 0; }

 private:
  RetryPolicy policy_;
  std::function<bool()> is_cancelled_;
  int failed_tries_ = 0;
};

}  // namespace hadal::hub
