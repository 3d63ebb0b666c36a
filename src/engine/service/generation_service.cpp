#include "engine/service/generation_service.h"

#include <fmt/format.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "engine/service/service_loop.h"

namespace hadal {

// The border between threads: messages go in under the lock, the loop takes them all at once.
class GenerationService::Loop {
 public:
  Loop(Engine engine, const ServiceOptions& options)
      : loop_(std::move(engine), options), waiting_max_(options.scheduler.waiting_max) {
    thread_ = std::thread([this] { run(); });
  }
  ~Loop() {
    post([this](ServiceLoop& loop) {
      loop.cancel_all();
      is_ending_ = true;
    });
    thread_.join();
  }

  void post(std::function<void(ServiceLoop&)> message) {
    {
      const std::lock_guard lock(mutex_);
      inbox_.push_back(std::move(message));
    }
    wake_.notify_one();
  }

  Result<RequestId> submit(GenerationRequest request, std::shared_ptr<AnswerSink> sink) {
    RequestId id = 0;
    {
      const std::lock_guard lock(mutex_);
      if (is_draining_) return shutting_down();
      // Those on their way count too, or a flood of messages would be no queue.
      if (status_.waiting + on_the_way_ >= waiting_max_) return queue_full();
      ++on_the_way_;
      id = ++last_id_;
    }
    post([this, id, request = std::move(request), sink = std::move(sink)](ServiceLoop& loop) mutable {
      loop.add(id, std::move(request), std::move(sink));
      const std::lock_guard lock(mutex_);
      --on_the_way_;
    });
    return id;
  }

  bool drain(double seconds) {
    std::unique_lock lock(mutex_);
    is_draining_ = true;
    return idle_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return inbox_.empty() && is_idle_; });
  }

  ServiceStatus status() const {
    const std::lock_guard lock(mutex_);
    return status_;
  }
  double retry_after_s() const {
    const std::lock_guard lock(mutex_);
    return retry_after_s_;
  }
  const Engine& engine() const { return loop_.engine(); }

 private:
  Error queue_full() const {
    return {.code = ErrorCode::kLimit,
            .what = "too many requests are waiting",
            .in = "",
            .want = fmt::format("at most {}", waiting_max_),
            .found = fmt::format("{}", status_.waiting + on_the_way_),
            .hint = fmt::format("try again in {:.0f} s", retry_after_s_)};
  }
  static Error shutting_down() {
    return {.code = ErrorCode::kCancelled,
            .what = "the server is shutting down",
            .in = "",
            .want = "",
            .found = "",
            .hint = "try another server, or this one later"};
  }

  void run() {
    bool has_work = false;
    while (true) {
      std::vector<std::function<void(ServiceLoop&)>> messages;
      {
        std::unique_lock lock(mutex_);
        is_idle_ = !has_work && inbox_.empty() && loop_.is_empty();
        if (is_idle_) idle_.notify_all();
        if (!has_work) wake_.wait(lock, [this] { return !inbox_.empty(); });
        messages.swap(inbox_);
        is_idle_ = false;
      }
      for (auto& message : messages) message(loop_);
      messages.clear();
      if (is_ending_) return;
      has_work = loop_.step();
      ServiceStatus status = loop_.status();
      const std::lock_guard lock(mutex_);
      status_ = std::move(status);
      retry_after_s_ = loop_.retry_after_s();
    }
  }

  ServiceLoop loop_;  // the thread's own, but for what is constant
  int64_t waiting_max_;
  bool is_ending_ = false;  // the thread's own

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::vector<std::function<void(ServiceLoop&)>> inbox_;
  ServiceStatus status_;
  double retry_after_s_ = 1;
  int64_t on_the_way_ = 0;
  RequestId last_id_ = 0;
  bool is_idle_ = true;
  bool is_draining_ = false;
  std::thread thread_;
};

GenerationService::GenerationService(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
GenerationService::~GenerationService() = default;

Result<std::unique_ptr<GenerationService>> GenerationService::start(Engine engine, const ServiceOptions& options) {
  HADAL_TRY(check_tokenizer(engine.model()));
  return std::make_unique<GenerationService>(std::make_unique<Loop>(std::move(engine), options));
}

Result<RequestId> GenerationService::submit(GenerationRequest request, std::shared_ptr<AnswerSink> sink) {
  HADAL_TRY(check_request(request, loop_->engine()));
  return loop_->submit(std::move(request), std::move(sink));
}
void GenerationService::cancel(RequestId id) {
  loop_->post([id](ServiceLoop& loop) { loop.cancel(id); });
}
void GenerationService::cancel_all() {
  loop_->post([](ServiceLoop& loop) { loop.cancel_all(); });
}
void GenerationService::set_paused(RequestId id, bool is_paused) {
  loop_->post([id, is_paused](ServiceLoop& loop) { loop.set_paused(id, is_paused); });
}
bool GenerationService::drain(double seconds) {
  return loop_->drain(seconds);
}
ServiceStatus GenerationService::status() const {
  return loop_->status();
}
double GenerationService::retry_after_s() const {
  return loop_->retry_after_s();
}
const LoadedModel& GenerationService::model() const {
  return loop_->engine().model();
}
const EngineOptions& GenerationService::engine_options() const {
  return loop_->engine().options();
}

}  // namespace hadal
