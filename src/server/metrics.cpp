#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <mutex>
#include <vector>

namespace hadal::server {
namespace {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Registry;

// From 0.5 ms, a token of a small model, to 80 s, a long prompt without a GPU.
const Histogram::BucketBoundaries kSeconds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02,  0.04,  0.08,  0.16,
                                              0.32,   0.64,  1.28,   2.56,  5.12, 10.24, 20.48, 40.96, 81.92};
const Histogram::BucketBoundaries kTokens = {1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576};
constexpr size_t kUnknownNamesMax = 64;

// Everything under one prefix.
class Set {
 public:
  Set(Registry& registry, const std::string& prefix, const std::string& model)
      : registry_(registry), prefix_(prefix), labels_({{"model_name", model}}) {}

  Gauge& gauge(const std::string& name, const std::string& help, prometheus::Labels more = {}) {
    more.insert(labels_.begin(), labels_.end());
    return prometheus::BuildGauge().Name(prefix_ + name).Help(help).Register(registry_).Add(more);
  }
  Counter& counter(const std::string& name, const std::string& help, prometheus::Labels more = {}) {
    more.insert(labels_.begin(), labels_.end());
    return prometheus::BuildCounter().Name(prefix_ + name).Help(help).Register(registry_).Add(more);
  }
  Histogram& histogram(const std::string& name, const std::string& help, const Histogram::BucketBoundaries& buckets) {
    return prometheus::BuildHistogram().Name(prefix_ + name).Help(help).Register(registry_).Add(labels_, buckets);
  }

 private:
  Registry& registry_;
  std::string prefix_;
  prometheus::Labels labels_;
};

struct Instruments {
  explicit Instruments(Set all)
      : set(std::move(all)),
        running(set.gauge("num_requests_running", "Requests whose prompt or answer runs")),
        waiting(set.gauge("num_requests_waiting", "Requests in the queue")),
        sequence_share(
            set.gauge("kv_cache_usage_perc", "Share of the memory for sequences, 0 to 1", {{"tier", "ram"}})),
        cache_bytes(set.gauge("prefix_cache_bytes", "Bytes of the prefix cache", {{"tier", "ram"}})),
        cache_tokens(set.gauge("prefix_cache_tokens", "Tokens in the prefix cache", {{"tier", "ram"}})),
        queries(set.counter("prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache")),
        hits(set.counter("prefix_cache_hits_total", "Prompt tokens found there")),
        replayed(
            set.counter("prefix_cache_replayed_tokens_total", "Prompt tokens that matched but were computed again")),
        prompt_tokens(set.counter("prompt_tokens_total", "Prompt tokens, cached ones included")),
        generated_tokens(set.counter("generation_tokens_total", "Tokens of answers")),
        reasoning_tokens(set.counter("reasoning_tokens_total", "Tokens of reasoning")),
        preemptions(set.gauge("num_preemptions_total", "Answers that had to give way to others")),
        request_prompt(set.histogram("request_prompt_tokens", "Prompt tokens of a request", kTokens)),
        request_generated(set.histogram("request_generation_tokens", "Answer tokens of a request", kTokens)),
        first_token(set.histogram("time_to_first_token_seconds", "From the request to its first token", kSeconds)),
        gap(set.histogram("inter_token_latency_seconds", "Between two tokens of an answer", kSeconds)),
        total(set.histogram("e2e_request_latency_seconds", "From the request to its end", kSeconds)),
        queue(set.histogram("request_queue_time_seconds", "From the request to its start", kSeconds)),
        prefill(set.histogram("request_prefill_time_seconds", "From the start to the first token", kSeconds)),
        decode(set.histogram("request_decode_time_seconds", "From the first token to the end", kSeconds)) {}

  void answered(const AnswerReport& report) {
    set.counter("request_success_total", "Requests that ended", {{"finished_reason", report.finish_reason}})
        .Increment();
    if (report.finish_reason == "cancelled")
      set.counter("request_cancelled_total", "Requests whose client left").Increment();
    const auto prompt = static_cast<double>(report.cache.prompt_tokens);
    queries.Increment(prompt);
    hits.Increment(static_cast<double>(report.cache.reused_tokens));
    replayed.Increment(static_cast<double>(report.cache.matched_tokens - report.cache.reused_tokens));
    prompt_tokens.Increment(prompt);
    generated_tokens.Increment(static_cast<double>(report.generated_tokens));
    reasoning_tokens.Increment(static_cast<double>(report.reasoning_tokens));
    request_prompt.Observe(prompt);
    request_generated.Observe(static_cast<double>(report.generated_tokens));
    total.Observe(report.total_s);
    queue.Observe(report.queue_s);
    for (const double seconds : report.token_gaps_s) gap.Observe(seconds);
    if (report.first_token_s == 0) return;
    first_token.Observe(report.first_token_s);
    prefill.Observe(report.first_token_s - report.queue_s);
    decode.Observe(report.total_s - report.first_token_s);
  }

  void show(const ServiceStatus& status) {
    running.Set(static_cast<double>(status.running));
    waiting.Set(static_cast<double>(status.waiting));
    const auto most = static_cast<double>(status.sequence_bytes_max);
    sequence_share.Set(most > 0 ? static_cast<double>(status.sequence_bytes) / most : 0);
    cache_bytes.Set(static_cast<double>(status.cache.bytes));
    cache_tokens.Set(static_cast<double>(status.cache.tokens));
    preemptions.Set(static_cast<double>(status.preemptions));
  }

  Set set;
  Gauge &running, &waiting, &sequence_share, &cache_bytes, &cache_tokens;
  Counter &queries, &hits, &replayed, &prompt_tokens, &generated_tokens, &reasoning_tokens;
  Gauge& preemptions;
  Histogram &request_prompt, &request_generated, &first_token, &gap, &total, &queue, &prefill, &decode;
};

}  // namespace

struct Metrics::Impl {
  std::mutex mutex;
  Registry registry;
  std::vector<std::unique_ptr<Instruments>> all;
  std::vector<std::string> unknown_names;
};

Metrics::Metrics(const std::string& model_name, bool vllm_names) : impl_(std::make_unique<Impl>()) {
  impl_->all.push_back(std::make_unique<Instruments>(Set(impl_->registry, "hadal_", model_name)));
  if (vllm_names) impl_->all.push_back(std::make_unique<Instruments>(Set(impl_->registry, "vllm:", model_name)));
}
Metrics::~Metrics() = default;

void Metrics::answered(const AnswerReport& report) {
  const std::lock_guard lock(impl_->mutex);
  for (const auto& instruments : impl_->all) instruments->answered(report);
}

void Metrics::refused(const std::string& code) {
  const std::lock_guard lock(impl_->mutex);
  for (const auto& instruments : impl_->all) {
    instruments->set.counter("request_errors_total", "Requests that were refused or failed", {{"code", code}})
        .Increment();
  }
}

void Metrics::unknown_parameter(const std::string& name) {
  const std::lock_guard lock(impl_->mutex);
  // Names come from strangers: so many, and no more.
  std::vector<std::string>& known = impl_->unknown_names;
  const bool is_known = std::find(known.begin(), known.end(), name) != known.end();
  if (!is_known && known.size() >= kUnknownNamesMax) return;
  if (!is_known) known.push_back(name);
  for (const auto& instruments : impl_->all) {
    instruments->set.counter("unknown_param_total", "Request fields that nobody reads", {{"name", name}}).Increment();
  }
}

std::string Metrics::text(const ServiceStatus& status) {
  const std::lock_guard lock(impl_->mutex);
  for (const auto& instruments : impl_->all) instruments->show(status);
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace hadal::server
