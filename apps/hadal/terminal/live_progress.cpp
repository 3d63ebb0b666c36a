#include "terminal/live_progress.h"

#include <unistd.h>

#include <chrono>
#include <utility>

#include "terminal/output.h"

namespace hadal {
namespace {

constexpr std::chrono::milliseconds kFirstDrawing{500};
constexpr std::chrono::milliseconds kRedraw{200};

}  // namespace

LiveProgress::LiveProgress(const ProgressOptions& options, const TerminalFacts& facts, double (*now_s)(),
                           std::function<uint64_t()> done)
    : bar_(options, facts, now_s()), now_s_(now_s), done_(std::move(done)) {
  if (facts.has_motion) thread_.emplace([this] { draw_until_over(); });
}

LiveProgress::~LiveProgress() {
  if (!thread_) return;
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  over_.notify_one();
  thread_->join();
  write_notice(bar_.clear());
}

void LiveProgress::draw_until_over() {
  std::unique_lock lock(mutex_);
  std::chrono::milliseconds wait = kFirstDrawing;
  while (!over_.wait_for(lock, wait, [this] { return is_over_; })) {
    write_notice(bar_.update(done_(), now_s_(), terminal_columns(STDERR_FILENO)));
    wait = kRedraw;
  }
}

}  // namespace hadal
