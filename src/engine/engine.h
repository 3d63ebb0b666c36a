// The engine: the only stateful object that the command line, the server, tests and the C API use.
//
//   load -> open sequence -> submit tokens -> step ... step -> fork, truncate, save, restore -> close
//
// One thread owns an engine and calls everything. A step runs the next tokens of every sequence that has some, a chunk
// at a time; what it computes is handed to an observer.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "device/open_device.h"
#include "engine/loaded_model.h"
#include "forward/forward_pass.h"
#include "plan/plan.h"
#include "state/sequence_state.h"

namespace hadal {

struct EngineOptions {
  NumericMode mode = NumericMode::kFast;
  DeviceChoice device = {};
  int n_threads = 0;  // 0: one per processor
  bool pin = false;
  std::optional<CpuLevel> cpu_level = std::nullopt;  // lower than detected, to force other kernels
  int64_t context_tokens = 0;                        // 0: 4096, or the model's maximum when that is less
  int64_t chunk_tokens = 512;                        // most tokens of one step
  int64_t sequences = 1;                             // how many the plan counts with
  // Page borders at multiples of this are kept while a long prompt runs, besides the last border of each submission.
  int64_t checkpoint_spacing_tokens = 2048;
  std::optional<StateOptions> state = std::nullopt;  // instead of the mode's default layouts and roundings
  bool mtp = false;
  bool wants_scores = false;
  InputObserver* inputs = nullptr;  // gets what matrices are multiplied with; on the CPU
  bool check_memory = true;         // refuse a plan that does not fit
};

using SequenceId = int64_t;

enum class LogitsWanted { kNone, kLast, kAll };

// Gets the results of a step; see StepObserver. Spans are valid during the call only.
class EngineObserver {
 public:
  virtual ~EngineObserver() = default;
  virtual void logits(SequenceId id, int64_t position, std::span<const float> logits) = 0;

  // Asked for by benchmarks, which count what a step reads: the experts of the sequence's tokens, token by token.
  virtual bool wants_experts() const { return false; }
  virtual void experts(SequenceId /*id*/, size_t /*layer*/, std::span<const int32_t> /*experts*/) {}
};

class Engine {
 public:
  // Plans, refuses what does not fit, allocates. Nothing of the model's weights is read, unless a GPU needs its copy.
  // OutOfMemory, Limit, Invalid; with a GPU also Unsupported (what it cannot compute yet) and errors of opening it.
  static Result<Engine> create(std::shared_ptr<const LoadedModel> model, const EngineOptions& options);
  // The same plan without allocating anything.
  static Result<Plan> plan(const LoadedModel& model, const EngineOptions& options);

  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  const LoadedModel& model() const;
  const EngineOptions& options() const;  // with defaults filled in
  const Plan& plan() const;
  const StateLayout& layout() const;
  Device& device();

  Result<SequenceId> open();
  // A sequence that begins with what another one left (full_pages, kept_checkpoints). OutOfMemory.
  Result<SequenceId> open_from(const StatePrefix& prefix);
  void close(SequenceId id);

  // Queues tokens. The logits of the last one, or of all, will be handed to the observer of the steps that run them.
  // Limit when the context would overflow: nothing is queued then.
  Result<void> submit(SequenceId id, std::span<const int32_t> ids, LogitsWanted wanted);
  // Page borders at which chunks of this sequence end and a checkpoint is kept, besides those of the options; borders
  // that lie behind it are forgotten. Any order.
  void keep_at(SequenceId id, std::span<const int64_t> borders);
  // Runs up to chunk_tokens queued tokens: one chunk of each sequence in turn until the step is full. False when
  // nothing was queued. After an error the sequences of the step are broken and can only be closed.
  Result<bool> step(EngineObserver& observer);
  // The same for chosen sequences: up to `tokens_max` of each, at most chunk_tokens in all; what does not fit waits.
  struct Share {
    SequenceId id = 0;
    int64_t tokens_max = 0;
  };
  Result<bool> step(std::span<const Share> shares, EngineObserver& observer);
  // Steps until nothing is queued.
  Result<void> run(EngineObserver& observer);

  int64_t length(SequenceId id) const;   // tokens that have been run
  int64_t pending(SequenceId id) const;  // tokens that are queued
  std::vector<int32_t> tokens(SequenceId id) const;

  // Forgets queued tokens and everything from position n on; what lies between the nearest checkpoint and n is queued
  // again and replayed by the next steps. Returns how many tokens that are.
  Result<int64_t> truncate(SequenceId id, int64_t n);
  Result<SequenceId> fork(SequenceId id);  // nothing may be queued
  Result<void> save(SequenceId id, ByteSink& sink) const;
  Result<SequenceId> restore(std::span<const std::byte> bytes, std::string_view name);
  uint64_t state_bytes(SequenceId id) const;
  // What of its past other sequences may begin with: full pages, and the checkpoints kept so far.
  std::vector<std::shared_ptr<const StatePage>> full_pages(SequenceId id) const;
  std::vector<std::shared_ptr<const StateCheckpoint>> kept_checkpoints(SequenceId id) const;

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal
