// A progress bar on stderr that a thread of its own keeps alive: what it tells of may be silent for seconds (weights
// that come from a disk, a chunk of a long prompt). Work of less than half a second shows no bar.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "terminal/progress.h"

namespace hadal {

class LiveProgress {
 public:
  // `done` says how much is finished; the thread calls it until the object goes. No thread and no call when stderr is
  // no terminal. now_s: seconds of a clock that does not go back.
  LiveProgress(const ProgressOptions& options, const TerminalFacts& facts, double (*now_s)(),
               std::function<uint64_t()> done);
  ~LiveProgress();  // takes the bar away
  LiveProgress(const LiveProgress&) = delete;
  LiveProgress& operator=(const LiveProgress&) = delete;

 private:
  void draw_until_over();

  ProgressBar bar_;
  double (*now_s_)();
  std::function<uint64_t()> done_;
  std::mutex mutex_;  // guards is_over_
  std::condition_variable over_;
  bool is_over_ = false;
  std::optional<std::thread> thread_;
};

}  // namespace hadal
