// What Prometheus scrapes: counters, gauges and histograms of the server, by the names that vLLM's dashboards and the
// Gateway API inference extension read, with prefix hadal_ (and vllm: when asked for). Never a label by user or prompt.
#pragma once

#include <memory>
#include <string>

#include "engine/service/generation_service.h"
#include "server/answer_session.h"

namespace hadal::server {

class Metrics {
 public:
  // `vllm_names`: everything once more under vLLM's names.
  Metrics(const std::string& model_name, bool vllm_names);
  ~Metrics();

  // Any thread.
  void answered(const AnswerReport& report);
  void refused(const std::string& code);
  void unknown_parameter(const std::string& name);
  // Prometheus' text format, with gauges as of `status`.
  std::string text(const ServiceStatus& status);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal::server
