#include "base/threads.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>

#include "base/check.h"

namespace hadal {
namespace {

// About 20 microseconds of pauses: longer than the gap between two ops of a decode step, shorter than a time slice.
constexpr int kSpins = 4000;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

constexpr uint64_t unclaimed(uint64_t ticket) {
  return ticket & 0xFFFFFFFFu;
}

std::vector<int> allowed_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> processors;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return processors;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) processors.push_back(cpu);
  }
  return processors;
}

}  // namespace

int available_processors() {
  return std::max(1, static_cast<int>(allowed_processors().size()));
}

ThreadPool::ThreadPool(int n_threads, bool pin) {
  HADAL_CHECK(n_threads >= 1, "threads", n_threads);
  const std::vector<int> processors = pin ? allowed_processors() : std::vector<int>();
  for (int i = 1; i < n_threads; ++i) {
    const int cpu = processors.empty() ? -1 : processors[static_cast<size_t>(i) % processors.size()];
    workers_.emplace_back([this, cpu] { work(cpu); });
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  // A new call number with nothing to claim: wakes everybody and publishes stop_.
  ticket_.store((ticket_.load(std::memory_order_relaxed) >> 32 << 32) + (uint64_t{1} << 32), std::memory_order_release);
  ticket_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

bool ThreadPool::claim_and_run_one() {
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  while (unclaimed(ticket) > 0) {
    if (ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acquire, std::memory_order_acquire)) {
      // The call cannot end before this task is counted in n_done_, so its fields stay as they are.
      const int64_t n_tasks = n_tasks_;
      function_(context_, n_tasks - static_cast<int64_t>(unclaimed(ticket)));
      if (n_done_.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<uint32_t>(n_tasks)) n_done_.notify_one();
      return true;
    }
  }
  return false;
}

void ThreadPool::work(int cpu) {
  if (cpu >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(cpu), &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
  }
  while (true) {
    while (claim_and_run_one()) {
    }
    const uint64_t seen = ticket_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_relaxed)) return;
    if (unclaimed(seen) > 0) continue;
    int spins = 0;
    while (spins < kSpins && ticket_.load(std::memory_order_relaxed) == seen) {
      pause();
      ++spins;
    }
    if (spins == kSpins) ticket_.wait(seen, std::memory_order_relaxed);
  }
}

void ThreadPool::run_erased(int64_t n_tasks, TaskFunction function, const void* context) {
  HADAL_CHECK(n_tasks < (int64_t{1} << 31), "tasks", n_tasks);
  if (n_tasks <= 0) return;
  if (n_tasks == 1 || workers_.empty()) {
    for (int64_t i = 0; i < n_tasks; ++i) function(context, i);
    return;
  }
  function_ = function;
  context_ = context;
  n_tasks_ = n_tasks;
  n_done_.store(0, std::memory_order_relaxed);
  const uint64_t call = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
  ticket_.store(call << 32 | static_cast<uint64_t>(n_tasks), std::memory_order_release);
  ticket_.notify_all();
  while (claim_and_run_one()) {
  }
  const auto target = static_cast<uint32_t>(n_tasks);
  for (int spins = 0; spins < kSpins; ++spins) {
    if (n_done_.load(std::memory_order_acquire) == target) return;
    pause();
  }
  for (uint32_t done = n_done_.load(std::memory_order_acquire); done != target;
       done = n_done_.load(std::memory_order_acquire)) {
    n_done_.wait(done, std::memory_order_acquire);
  }
}

}  // namespace hadal
