#include "base/threads.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <numeric>
#include <string>
#include <thread>

#include "base/io.h"

namespace hadal {
namespace {

TEST(ThreadPool, every_task_runs_exactly_once) {
  for (const int n_threads : {1, 2, 3, 8}) {
    ThreadPool pool(n_threads);
    for (const int64_t n : {0, 1, 2, 3, 7, 100, 1000}) {
      std::vector<int> runs(static_cast<size_t>(n), 0);
      pool.run(n, [&](int64_t i) { ++runs[static_cast<size_t>(i)]; });
      EXPECT_EQ(std::accumulate(runs.begin(), runs.end(), 0), n);
      for (const int r : runs) EXPECT_EQ(r, 1);
    }
  }
}

TEST(ThreadPool, many_short_calls_see_the_results_of_the_calls_before) {
  ThreadPool pool(4);
  std::vector<int64_t> values(64, 0);
  for (int64_t round = 0; round < 20000; ++round) {
    pool.run(64, [&](int64_t i) { values[static_cast<size_t>(i)] += 1; });
  }
  for (const int64_t v : values) EXPECT_EQ(v, 20000);
}

TEST(ThreadPool, slices_cover_the_range_without_overlap) {
  ThreadPool pool(3);
  std::vector<int> covered(103, 0);
  pool.for_slices(103, 10, [&](int64_t begin, int64_t end) {
    EXPECT_EQ(begin % 10, 0);
    for (int64_t i = begin; i < end; ++i) ++covered[static_cast<size_t>(i)];
  });
  for (const int c : covered) EXPECT_EQ(c, 1);
}

// Whether every thread of this process but the one that asks sleeps: the letter behind "(name)" in proc(5)'s stat.
bool others_sleep() {
  const std::string self = std::to_string(::gettid());
  for (const fs::directory_entry& task : fs::directory_iterator("/proc/self/task")) {
    if (task.path().filename() == self) continue;
    const Result<std::string> stat = read_file(task.path() / "stat", 4096);
    if (!stat.ok() || stat->at(stat->rfind(')') + 2) != 'S') return false;
  }
  return true;
}

TEST(ThreadPool, workers_that_sleep_wake_up_again) {
  ThreadPool pool(2);
  for (int round = 0; round < 5; ++round) {
    while (!others_sleep()) std::this_thread::yield();
    std::atomic<int> n{0};
    pool.run(10, [&](int64_t) { ++n; });
    EXPECT_EQ(n, 10);
  }
}

}  // namespace
}  // namespace hadal
