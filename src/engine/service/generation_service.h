// Many answers at once: one engine thread that owns an engine, fed by messages from any thread.
//
//   submit, cancel, pause --messages--> engine thread: [prefix tree] open -> [scheduler] steps -> Generation
//   AnswerSink <--calls on the engine thread, which must not wait----------------------------------'
//
// What a request's prompt shares with earlier ones of its scope is not computed again: pages and checkpoints of every
// sequence go into the prefix tree while it runs. Two requests with the same new prefix compute it once: the second
// waits for the first. When memory runs out, the youngest answer gives way and goes on later where it was. The tokens
// of an answer are the same whatever runs beside it, from the cache or cold.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/generate.h"
#include "engine/prefix/prefix_tree.h"
#include "engine/schedule/scheduler.h"

namespace hadal {

struct ServiceOptions {
  SchedulerOptions scheduler;      // what is known of the engine (step, memory of a sequence) is filled in
  uint64_t cache_bytes = 0;        // budget of the prefix tree
  int64_t message_ends_kept = 16;  // of a prompt, the last so many get a checkpoint, and the first
};

using RequestId = int64_t;

struct GenerationRequest {
  std::string key;    // whose turn it is is decided between keys
  std::string scope;  // whose prefixes may be used; requests of different scopes never see each other's
  Priority priority = Priority::kNormal;
  std::vector<TokenId> prompt;
  std::vector<int64_t> message_ends;  // tokens of the prompt that are complete messages (message_end_tokens)
  GenerationOptions options;
  int n = 1;  // answers; answer i draws with branch_seed(options.sampling.seed, i)
};

uint64_t branch_seed(uint64_t seed, int choice);  // choice 0: the seed itself

// What the prefix tree said about a prompt; for logs and GET /v1/cache.
struct CacheDecision {
  std::string scope;
  int64_t prompt_tokens = 0;
  int64_t matched_tokens = 0;
  int64_t reused_tokens = 0;
  PrefixEnd end = PrefixEnd::kNothingStored;
};

// Gets a request's answers. Called on the engine thread only: no call may wait. After failed(), or after finished() for
// every choice, nothing more comes.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  virtual void started(const CacheDecision& /*cache*/) {}  // it left the queue
  virtual void prompt_progress(int64_t /*done*/, int64_t /*total*/) {}
  virtual void token(int /*choice*/, const Sampled& /*sampled*/, bool /*is_text*/) {}
  virtual void event(int choice, const OutputEvent& event) = 0;
  virtual void finished(int choice, const Generated& generated) = 0;
  virtual void failed(const Error& error) = 0;
};

struct RequestStatus {
  RequestId id = 0;
  std::string state;  // "waiting", "prompt", "answer"
  int64_t prompt_done = 0;
  int64_t prompt_tokens = 0;
  int64_t generated_tokens = 0;
};

struct ServiceStatus {
  int64_t waiting = 0;
  int64_t running = 0;
  double tokens_per_s = 0;         // of all answers, over the last seconds
  double prompt_tokens_per_s = 0;  // that were computed
  uint64_t sequence_bytes = 0;     // reserved for running sequences
  uint64_t sequence_bytes_max = 0;
  PrefixStats cache;
  uint64_t cache_bytes_max = 0;
  // Since the start.
  int64_t prompt_tokens = 0;
  int64_t reused_tokens = 0;
  int64_t generated_tokens = 0;
  int64_t preemptions = 0;
  int64_t steps = 0;
  std::vector<RequestStatus> requests;
  std::vector<CacheDecision> last_decisions;  // the newest first
};

class GenerationService {
 public:
  // Takes the engine over and starts its thread. NotFound: the model has no tokenizer.
  static Result<std::unique_ptr<GenerationService>> start(Engine engine, const ServiceOptions& options);
  // Ends what runs (as cancelled) and joins the thread.
  ~GenerationService();

  // Any thread. Errors that can be told at once: Invalid and Limit of the request (empty or too long prompt, sampling,
  // stop strings, n outside 1..16), Limit (the queue is full), Cancelled (shutting down). Later ones reach the sink.
  Result<RequestId> submit(GenerationRequest request, std::shared_ptr<AnswerSink> sink);
  // Ends a request within a step, as cancelled; what its prompt has computed stays in the tree. Unknown ids are
  // requests that have ended.
  void cancel(RequestId id);
  void cancel_all();
  // A reader who does not read: the request gets no more tokens until it is resumed.
  void set_paused(RequestId id, bool is_paused);

  // Nothing new is taken; returns true when all has ended, false after the time. Any thread.
  bool drain(double seconds);

  ServiceStatus status() const;  // as of the last step
  double retry_after_s() const;  // for a request that met a full queue
  const LoadedModel& model() const;
  const EngineOptions& engine_options() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;

 public:
  explicit GenerationService(std::unique_ptr<Loop> loop);  // for start()
};

}  // namespace hadal
