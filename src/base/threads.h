// A pool of workers that runs the ops: tasks of one call, claimed in order, finished before the call returns.
//
// Which thread runs which task is left to chance (a slow core takes fewer), so a task's result must not depend on it:
// tasks write disjoint outputs, each in its own fixed order. That is how "one thread = many threads" holds.
//
// Workers spin for some microseconds after a call, because the next op comes soon, then sleep: a shared machine is not
// spun away.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace hadal {

class ThreadPool {
 public:
  // n_threads counts the caller: n_threads - 1 workers are started. At least 1. With `pin`, worker i stays on the
  // i-th processor that the process may use (and the caller is left where it is).
  explicit ThreadPool(int n_threads, bool pin = false);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls task(i) for every i in [0, n_tasks), in any thread, and returns when all have returned. Not reentrant; one
  // thread at a time may call. n_tasks < 2^31.
  template <class Task>
  void run(int64_t n_tasks, const Task& task) {
    run_erased(
        n_tasks, [](const void* context, int64_t i) { (*static_cast<const Task*>(context))(i); }, &task);
  }

  // Calls body(begin, end) for slices of [0, n) whose borders are multiples of `grain`.
  template <class Body>
  void for_slices(int64_t n, int64_t grain, const Body& body) {
    run((n + grain - 1) / grain, [&](int64_t i) { body(i * grain, i * grain + grain < n ? i * grain + grain : n); });
  }

 private:
  using TaskFunction = void (*)(const void* context, int64_t i);

  void run_erased(int64_t n_tasks, TaskFunction function, const void* context);
  void work(int cpu);
  bool claim_and_run_one();

  // Written by the caller before a ticket is published, read by whoever has claimed a task of that ticket.
  TaskFunction function_ = nullptr;
  const void* context_ = nullptr;
  int64_t n_tasks_ = 0;

  // Upper half: number of the call. Lower half: tasks not yet claimed. A claim takes one off by compare-and-swap, so a
  // worker that wakes late can never claim a task of a call that it did not see.
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<uint32_t> n_done_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

// Processors that this process may use.
int available_processors();

}  // namespace hadal
