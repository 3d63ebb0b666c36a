// Who runs next: admission, fairness and the size of each step, as pure logic.
//
//   add -> waiting --admit--> running: prompt --ran--> running: decode --remove--> gone
//             ^------------------preempted-------------------'
//
// Time is an argument (seconds of any origin), work is counted in tokens, memory in bytes; no model, no thread, no
// clock. The engine thread asks it and tells it what happened.
//
// Between keys the one that was served least goes first, so that one agent with six sub-agents does not starve a chat;
// within a key first come, first served. A class is served before a lower one, and waiting raises the class, so that
// nobody waits for ever. Steps give every running answer its token and fill up with prompt tokens, as many as keep the
// step within `step_s`: a long prompt never freezes the others.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace hadal {

enum class Priority { kBatch, kNormal, kInteractive };

struct SchedulerOptions {
  int64_t running_max = 64;            // sequences at a time
  int64_t waiting_max = 256;           // beyond it a request is refused
  int64_t step_tokens_max = 512;       // EngineOptions::chunk_tokens
  int64_t prompts_at_once = 2;         // sequences whose prompt runs in one step
  double step_s = 0;                   // how long running answers may wait for a step; 0: twice a step without prompts
  int64_t prompt_tokens_min = 16;      // of a step beside answers, however long it takes, so that prompts go on
  double aging_s = 30;                 // waiting this long raises the class by one
  uint64_t memory_bytes = 0;           // of all running sequences; 0: no limit
  uint64_t sequence_bytes = 0;         // of one, whatever its length
  double token_bytes = 0;              // and for each token
  int64_t reserved_tokens_max = 4096;  // of an answer: agents ask for 32,000 out of habit
};

using WorkId = int64_t;

struct Work {
  WorkId id = 0;
  std::string key;  // whose queue
  Priority priority = Priority::kNormal;
  int64_t prompt_tokens = 0;  // all of them
  int64_t cached_tokens = 0;  // of those, what need not be computed, as far as is known
  int64_t answer_tokens_max = 0;
};

struct StepShare {
  WorkId id = 0;
  int64_t tokens_max = 0;
  bool is_prompt = false;
};

class Scheduler {
 public:
  explicit Scheduler(const SchedulerOptions& options);

  // Limit: the queue is full; OutOfMemory: it could not run even alone. Nothing is queued then.
  Result<void> add(const Work& work, double now_s);
  // Finished, cancelled or failed, waiting or running.
  void remove(WorkId id);

  // The next that may start, now running; nothing when nobody waits, or nobody fits beside what runs.
  // `is_held(id)` says who must wait for a prompt that is being computed for another.
  template <class IsHeld>
  std::optional<WorkId> admit(double now_s, const IsHeld& is_held) {
    for (const WorkId id : candidates(now_s)) {
      if (is_held(id)) continue;
      if (!fits(id)) return std::nullopt;  // nobody overtakes it: it would never fit
      start(id);
      return id;
    }
    return std::nullopt;
  }

  // Another answer to the prompt of a running one, in a fork of its sequence: it runs at once.
  void add_branch(WorkId first, WorkId branch);
  // What is left of a running prompt, counted when its sequence was opened or after a step; 0: the answer runs.
  void set_prompt_left(WorkId id, int64_t tokens);
  // The sequence has this many tokens; its reservation grows when the answer is longer than what was reserved.
  void set_length(WorkId id, int64_t tokens);
  // A reader who does not read: its sequence gets no share until it is resumed.
  void set_paused(WorkId id, bool is_paused);

  // Who has to give way because the running sequences have outgrown the memory: the youngest of the lowest class; never
  // the only one. Back at the head of its queue, with what it has as its prompt.
  std::optional<WorkId> preempt();

  // The shares of the next step. Empty: nothing can run.
  std::vector<StepShare> plan();
  // A step of these tokens took so long: how the next ones are sized.
  void ran(int64_t answers, int64_t prompt_tokens, double seconds);

  int64_t n_waiting() const;
  int64_t n_running() const { return static_cast<int64_t>(running_.size()); }
  uint64_t reserved_bytes() const;
  bool is_running(WorkId id) const { return running_.count(id) > 0; }
  // When a place in the queue is likely to be free: the answer to a refused request.
  double retry_after_s() const;

 private:
  struct Waiting {
    Work work;
    double since_s = 0;
  };
  struct Running {
    Work work;
    int64_t prompt_left = 0;
    int64_t length = 0;
    uint64_t reserved_bytes = 0;
    bool is_paused = false;
    int64_t order = 0;  // of starting
  };

  std::vector<WorkId> candidates(double now_s) const;
  bool fits(WorkId id) const;
  void start(WorkId id);
  uint64_t bytes_of(int64_t tokens) const;
  uint64_t bytes_of(const Work& work) const;
  int64_t prompt_room(int64_t answers);

  SchedulerOptions options_;
  std::map<std::string, std::deque<Waiting>> queues_;  // by key; empty ones are removed
  std::map<std::string, double> served_;               // tokens of work started, by key that waits or runs
  std::map<WorkId, Running> running_;
  int64_t n_started_ = 0;
  WorkId last_answer_ = 0;  // where the turn of answers goes on when a step cannot hold all
  int64_t mixed_steps_ = 0;
  double answers_step_s_ = 0;  // of a step without prompts
  double prompt_token_s_ = 0;
};

}  // namespace hadal
