// What the engine thread does between two messages: start who may start, run a step, hand out its tokens.
//
// No thread of its own and no lock: tests call step() themselves.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "engine/service/generation_service.h"
#include "engine/service/prefix_cache.h"
#include "engine/service/service_stream.h"

namespace hadal {

// What can be said of a request before it waits; see GenerationService::submit.
[[nodiscard]] Result<void> check_request(const GenerationRequest& request, const Engine& engine);

class ServiceLoop {
 public:
  ServiceLoop(Engine engine, const ServiceOptions& options);
  ~ServiceLoop();

  void add(RequestId id, GenerationRequest request, std::shared_ptr<AnswerSink> sink);
  void cancel(RequestId id);
  void cancel_all();
  void set_paused(RequestId id, bool is_paused);

  // One step of the engine, with what comes before and behind it. False: nothing can run until a message comes.
  bool step();

  bool is_empty() const { return streams_.empty(); }
  ServiceStatus status() const;
  double retry_after_s() const { return scheduler_.retry_after_s(); }
  const Engine& engine() const { return engine_; }
  const PrefixCache& cache() const { return cache_; }

 private:
  class Results;

  ServiceStream* find_sequence(SequenceId id);
  void start_waiting();
  Result<void> start(ServiceStream& stream);
  bool is_held(const ServiceStream& stream);
  void make_room();
  void take_results(Results& results);
  Result<void> take_logits(ServiceStream& stream, std::span<float> logits);
  Result<void> branch(ServiceStream& first, std::span<const float> logits);
  void store(ServiceStream& stream);
  void finish(WorkId work);
  void fail(RequestId id, const Error& error);
  void end_stream(WorkId work);
  void count_speed(int64_t prompt_tokens, int64_t answer_tokens, double now_s, double seconds);

  Engine engine_;
  ServiceOptions options_;
  Scheduler scheduler_;
  PrefixCache cache_;
  SamplingWork sampling_;
  std::map<WorkId, std::unique_ptr<ServiceStream>> streams_;  // waiting and running
  WorkId last_work_ = 0;
  ServiceStatus totals_;
  std::deque<CacheDecision> decisions_;  // the newest first
  struct Slice {
    double end_s;
    double seconds;
    int64_t prompt_tokens;
    int64_t answer_tokens;
  };
  std::deque<Slice> recent_;  // steps of the last seconds
};

}  // namespace hadal
