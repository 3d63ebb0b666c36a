#include "engine/schedule/scheduler.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

namespace hadal {
namespace {

constexpr auto kNobodyHeld = [](WorkId) { return false; };

Work work(WorkId id, std::string key, int64_t prompt_tokens, Priority priority = Priority::kNormal) {
  return {.id = id,
          .key = std::move(key),
          .priority = priority,
          .prompt_tokens = prompt_tokens,
          .cached_tokens = 0,
          .answer_tokens_max = 100};
}

std::vector<WorkId> admit_all(Scheduler& scheduler, double now_s = 0) {
  std::vector<WorkId> ids;
  while (const auto id = scheduler.admit(now_s, kNobodyHeld)) ids.push_back(*id);
  return ids;
}

// A machine whose steps take a time for the answers and a time for each token of a prompt.
struct Simulation {
  explicit Simulation(const SchedulerOptions& options) : scheduler(options) {}
  Scheduler scheduler;
  std::map<WorkId, int64_t> prompt_left;
  std::map<WorkId, std::vector<double>> tokens_at;
  double now_s = 0;
  double answers_s = 0.010;
  double prompt_token_s = 0.001;

  void add(const Work& w) {
    ASSERT_TRUE(scheduler.add(w, now_s).ok());
    prompt_left[w.id] = w.prompt_tokens;
  }
  bool step() {
    admit_all(scheduler, now_s);
    const std::vector<StepShare> shares = scheduler.plan();
    if (shares.empty()) return false;
    int64_t answers = 0, prompt = 0;
    for (const StepShare& share : shares) (share.is_prompt ? prompt : answers) += share.tokens_max;
    const double took_s = (answers > 0 ? answers_s : 0) + static_cast<double>(prompt) * prompt_token_s;
    now_s += took_s;
    scheduler.ran(answers, prompt, took_s);
    for (const StepShare& share : shares) {
      if (share.is_prompt) {
        prompt_left[share.id] -= share.tokens_max;
        scheduler.set_prompt_left(share.id, prompt_left[share.id]);
      }
      if (prompt_left[share.id] == 0) tokens_at[share.id].push_back(now_s);
    }
    return true;
  }
};

TEST(Scheduler, WithinAKeyFirstComeFirstServed) {
  Scheduler scheduler({});
  for (WorkId id = 1; id <= 3; ++id) ASSERT_TRUE(scheduler.add(work(id, "a", 10), 0).ok());
  EXPECT_EQ(admit_all(scheduler), (std::vector<WorkId>{1, 2, 3}));
}

TEST(Scheduler, AFloodOfOneKeyDoesNotStarveAnother) {
  Scheduler scheduler({.running_max = 2});
  for (WorkId id = 1; id <= 50; ++id) ASSERT_TRUE(scheduler.add(work(id, "flood", 1000), 0).ok());
  EXPECT_EQ(admit_all(scheduler), (std::vector<WorkId>{1, 2}));
  ASSERT_TRUE(scheduler.add(work(99, "chat", 10), 1).ok());
  scheduler.remove(1);
  // "chat" begins where "flood" stands, and is before the next of its requests.
  const auto next = scheduler.admit(1, kNobodyHeld);
  ASSERT_TRUE(next.has_value());
  scheduler.remove(*next);
  const auto after = scheduler.admit(1, kNobodyHeld);
  EXPECT_TRUE(*next == 99 || *after == 99);
}

TEST(Scheduler, ClassesGoFirstAndWaitingRaisesThem) {
  Scheduler scheduler({.running_max = 1, .aging_s = 30});
  ASSERT_TRUE(scheduler.add(work(1, "batch", 10, Priority::kBatch), 0).ok());
  ASSERT_TRUE(scheduler.add(work(2, "chat", 10, Priority::kInteractive), 50).ok());
  EXPECT_EQ(scheduler.admit(50, kNobodyHeld), 2);
  scheduler.remove(2);
  ASSERT_TRUE(scheduler.add(work(3, "chat", 10, Priority::kInteractive), 95).ok());
  EXPECT_EQ(scheduler.admit(95, kNobodyHeld), 1);  // three times 30 s: above the interactive class
}

TEST(Scheduler, RefusesBeyondTheQueueAndWhatCouldNeverRun) {
  Scheduler scheduler({.waiting_max = 1, .memory_bytes = 1000, .sequence_bytes = 100, .token_bytes = 1});
  EXPECT_EQ(scheduler.add(work(1, "a", 950), 0).error().code, ErrorCode::kOutOfMemory);
  ASSERT_TRUE(scheduler.add(work(2, "a", 10), 0).ok());
  EXPECT_EQ(scheduler.add(work(3, "a", 10), 0).error().code, ErrorCode::kLimit);
  EXPECT_GE(scheduler.retry_after_s(), 1);
}

TEST(Scheduler, MemoryIsReservedAndTheYoungestGivesWay) {
  Scheduler scheduler({.memory_bytes = 1000, .sequence_bytes = 100, .token_bytes = 1, .reserved_tokens_max = 50});
  for (WorkId id = 1; id <= 4; ++id) ASSERT_TRUE(scheduler.add(work(id, "a", 150), 0).ok());
  EXPECT_EQ(admit_all(scheduler), (std::vector<WorkId>{1, 2, 3}));
  EXPECT_EQ(scheduler.reserved_bytes(), 900u);
  EXPECT_EQ(scheduler.preempt(), std::nullopt);
  scheduler.set_length(1, 350);
  EXPECT_EQ(scheduler.preempt(), 3);
  EXPECT_EQ(scheduler.preempt(), std::nullopt);
  scheduler.remove(2);
  EXPECT_EQ(scheduler.admit(1, kNobodyHeld), 3);  // before 4
}

TEST(Scheduler, AHeldRequestLetsOthersPass) {
  Scheduler scheduler({});
  ASSERT_TRUE(scheduler.add(work(1, "a", 10), 0).ok());
  ASSERT_TRUE(scheduler.add(work(2, "a", 10), 0).ok());
  EXPECT_EQ(scheduler.admit(0, [](WorkId id) { return id == 1; }), 2);
  EXPECT_EQ(scheduler.admit(0, kNobodyHeld), 1);
}

TEST(Scheduler, ALongPromptDoesNotFreezeRunningAnswers) {
  Simulation machine({.step_tokens_max = 512});
  for (WorkId id = 1; id <= 4; ++id) machine.add(work(id, "a", 20));
  for (int n = 0; n < 50; ++n) machine.step();
  const size_t before = machine.tokens_at[1].size();
  machine.add(work(9, "b", 4000));
  while (machine.prompt_left[9] > 0) ASSERT_TRUE(machine.step());
  const std::vector<double>& times = machine.tokens_at[1];
  double worst = 0;
  for (size_t n = before + 1; n < times.size(); ++n) worst = std::max(worst, times[n] - times[n - 1]);
  EXPECT_LE(worst, 3 * machine.answers_s);
  // And it uses the time that it may use: half of it for the prompt, but every sixteenth step.
  EXPECT_LE(machine.now_s, 4000 * machine.prompt_token_s * 2 + 60 * 20 * 0.02);
}

TEST(Scheduler, AloneAPromptGetsWholeSteps) {
  Simulation machine({.step_tokens_max = 512});
  machine.add(work(1, "a", 5120));
  int steps = 0;
  while (machine.prompt_left[1] > 0) machine.step(), ++steps;
  EXPECT_EQ(steps, 10);
}

TEST(Scheduler, AShortPromptPassesALongOne) {
  Simulation machine({.step_tokens_max = 512});
  machine.add(work(1, "a", 100000));
  machine.step();
  machine.add(work(2, "b", 500));
  machine.step();
  machine.step();
  EXPECT_EQ(machine.prompt_left[2], 0);
  EXPECT_GT(machine.prompt_left[1], 0);
}

TEST(Scheduler, APausedReaderGetsNothingAndTheOthersGoOn) {
  Simulation machine({});
  machine.add(work(1, "a", 10));
  machine.add(work(2, "a", 10));
  machine.step();
  machine.scheduler.set_paused(1, true);
  const size_t n = machine.tokens_at[1].size();
  for (int i = 0; i < 5; ++i) machine.step();
  EXPECT_EQ(machine.tokens_at[1].size(), n);
  EXPECT_GE(machine.tokens_at[2].size(), 5u);
  machine.scheduler.set_paused(1, false);
  machine.step();
  EXPECT_EQ(machine.tokens_at[1].size(), n + 1);
}

TEST(Scheduler, MoreAnswersThanAStepHoldsTakeTurns) {
  Simulation machine({.running_max = 10, .step_tokens_max = 4});
  for (WorkId id = 1; id <= 10; ++id) machine.add(work(id, "a", 1));
  for (int n = 0; n < 100; ++n) machine.step();
  for (WorkId id = 1; id <= 10; ++id) EXPECT_GE(machine.tokens_at[id].size(), 30u) << id;
}

// Whatever comes and goes: nobody runs twice, limits hold, everybody who waits starts at last.
RC_GTEST_PROP(Scheduler, EverybodyStartsAndNothingLeaks, ()) {
  Simulation machine({.running_max = 3, .waiting_max = 1000, .step_tokens_max = 64});
  WorkId next = 1;
  std::set<WorkId> alive;
  const int rounds = *rc::gen::inRange(1, 60);
  for (int round = 0; round < rounds; ++round) {
    if (*rc::gen::inRange(0, 3) > 0) {
      machine.add(work(next, *rc::gen::element(std::string("a"), std::string("b")), *rc::gen::inRange(1, 200),
                       *rc::gen::element(Priority::kBatch, Priority::kInteractive)));
      alive.insert(next++);
    }
    machine.step();
    RC_ASSERT(machine.scheduler.n_running() <= 3);
    if (!alive.empty() && *rc::gen::inRange(0, 4) == 0) {
      machine.scheduler.remove(*alive.begin());
      alive.erase(alive.begin());
    }
    RC_ASSERT(machine.scheduler.n_running() + machine.scheduler.n_waiting() == static_cast<int64_t>(alive.size()));
  }
  while (!alive.empty()) {
    RC_ASSERT(machine.step());
    for (auto it = alive.begin(); it != alive.end();) {
      const bool done = !machine.tokens_at[*it].empty();
      if (done) machine.scheduler.remove(*it);
      it = done ? alive.erase(it) : std::next(it);
    }
  }
  RC_ASSERT(machine.scheduler.n_running() == 0 && machine.scheduler.n_waiting() == 0);
}

}  // namespace
}  // namespace hadal
