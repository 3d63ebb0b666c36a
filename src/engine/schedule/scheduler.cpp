#include "engine/schedule/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace hadal {
namespace {

// New measurements count a quarter: a step that a busy machine delayed is forgotten after a few.
constexpr double kNewWeight = 0.25;
// Among steps with prompts one in so many is without, so that there is something to compare with.
constexpr int64_t kPlainStepEvery = 16;

double averaged(double old_value, double new_value) {
  return old_value == 0 ? new_value : old_value + kNewWeight * (new_value - old_value);
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options) : options_(options) {}

uint64_t Scheduler::bytes_of(int64_t tokens) const {
  return options_.sequence_bytes + static_cast<uint64_t>(options_.token_bytes * static_cast<double>(tokens));
}

uint64_t Scheduler::bytes_of(const Work& work) const {
  return bytes_of(work.prompt_tokens + std::min(work.answer_tokens_max, options_.reserved_tokens_max));
}

Result<void> Scheduler::add(const Work& work, double now_s) {
  if (n_waiting() >= options_.waiting_max) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "too many requests are waiting",
                 .in = "",
                 .want = fmt::format("at most {}", options_.waiting_max),
                 .found = fmt::format("{}", n_waiting()),
                 .hint = "try again later"};
  }
  if (options_.memory_bytes > 0 && bytes_of(work.prompt_tokens + 1) > options_.memory_bytes) {
    return Error{.code = ErrorCode::kOutOfMemory,
                 .what = "the prompt does not fit the memory for sequences",
                 .in = "",
                 .want = fmt::format("at most {} bytes", options_.memory_bytes),
                 .found = fmt::format("{} bytes for {} tokens", bytes_of(work.prompt_tokens + 1), work.prompt_tokens),
                 .hint = "a shorter prompt, or a larger --context-memory"};
  }
  // A key that comes back does not get what it missed while it was away.
  if (served_.count(work.key) == 0) {
    double least = 0;
    bool is_first = true;
    for (const auto& [key, served] : served_) {
      least = is_first ? served : std::min(least, served);
      is_first = false;
    }
    served_[work.key] = least;
  }
  queues_[work.key].push_back({.work = work, .since_s = now_s});
  return {};
}

void Scheduler::remove(WorkId id) {
  std::string key;
  if (const auto running = running_.find(id); running != running_.end()) {
    key = running->second.work.key;
    running_.erase(running);
  } else {
    for (auto& [name, queue] : queues_) {
      const auto found = std::find_if(queue.begin(), queue.end(), [&](const Waiting& w) { return w.work.id == id; });
      if (found == queue.end()) continue;
      key = name;
      queue.erase(found);
      break;
    }
  }
  if (const auto queue = queues_.find(key); queue != queues_.end()) {
    if (!queue->second.empty()) return;
    queues_.erase(queue);
  }
  const bool runs =
      std::any_of(running_.begin(), running_.end(), [&](const auto& r) { return r.second.work.key == key; });
  if (!runs) served_.erase(key);
}

// The heads of all queues, in the order in which they may start; behind each head the rest of its queue, which matters
// only when the head is held.
std::vector<WorkId> Scheduler::candidates(double now_s) const {
  struct Head {
    double rank;  // class, raised by waiting
    double served;
    double since_s;
    const std::deque<Waiting>* queue;
  };
  std::vector<Head> heads;
  for (const auto& [key, queue] : queues_) {
    if (queue.empty()) continue;
    const Waiting& first = queue.front();
    const double waited = std::max(0.0, now_s - first.since_s);
    const double rank = static_cast<int>(first.work.priority) + std::floor(waited / options_.aging_s);
    heads.push_back({rank, served_.at(key), first.since_s, &queue});
  }
  std::sort(heads.begin(), heads.end(), [](const Head& a, const Head& b) {
    if (a.rank != b.rank) return a.rank > b.rank;
    if (a.served != b.served) return a.served < b.served;
    return a.since_s < b.since_s;
  });
  std::vector<WorkId> ids;
  for (const Head& head : heads) {
    for (const Waiting& waiting : *head.queue) ids.push_back(waiting.work.id);
  }
  return ids;
}

bool Scheduler::fits(WorkId id) const {
  if (n_running() >= options_.running_max) return false;
  if (options_.memory_bytes == 0 || running_.empty()) return true;
  for (const auto& [key, queue] : queues_) {
    for (const Waiting& waiting : queue) {
      if (waiting.work.id == id) return reserved_bytes() + bytes_of(waiting.work) <= options_.memory_bytes;
    }
  }
  return false;
}

void Scheduler::start(WorkId id) {
  for (auto& [key, queue] : queues_) {
    const auto found = std::find_if(queue.begin(), queue.end(), [&](const Waiting& w) { return w.work.id == id; });
    if (found == queue.end()) continue;
    const Work work = found->work;
    queue.erase(found);
    const int64_t to_compute = work.prompt_tokens - work.cached_tokens;
    served_[key] += static_cast<double>(to_compute + std::min(work.answer_tokens_max, options_.reserved_tokens_max));
    running_[id] = {.work = work,
                    .prompt_left = to_compute,
                    .length = work.prompt_tokens,
                    .reserved_bytes = bytes_of(work),
                    .is_paused = false,
                    .order = n_started_++};
    return;
  }
  HADAL_CHECK(false, "nobody waits as", id);
}

void Scheduler::add_branch(WorkId first, WorkId branch) {
  Running running = running_.at(first);
  running.work.id = branch;
  running.prompt_left = 0;
  running.order = n_started_++;
  running_[branch] = std::move(running);
}

void Scheduler::set_prompt_left(WorkId id, int64_t tokens) {
  running_.at(id).prompt_left = tokens;
}

void Scheduler::set_length(WorkId id, int64_t tokens) {
  Running& running = running_.at(id);
  running.length = tokens;
  running.reserved_bytes = std::max(running.reserved_bytes, bytes_of(tokens + 1));
}

void Scheduler::set_paused(WorkId id, bool is_paused) {
  if (const auto running = running_.find(id); running != running_.end()) running->second.is_paused = is_paused;
}

std::optional<WorkId> Scheduler::preempt() {
  if (options_.memory_bytes == 0 || running_.size() < 2 || reserved_bytes() <= options_.memory_bytes) {
    return std::nullopt;
  }
  const auto gives_way = std::min_element(running_.begin(), running_.end(), [](const auto& a, const auto& b) {
    if (a.second.work.priority != b.second.work.priority) return a.second.work.priority < b.second.work.priority;
    return a.second.order > b.second.order;
  });
  const Running running = gives_way->second;
  running_.erase(gives_way);
  Work work = running.work;
  work.answer_tokens_max = std::max<int64_t>(1, work.answer_tokens_max - (running.length - work.prompt_tokens));
  work.prompt_tokens = running.length;
  // It has waited longer than anybody: first in its queue, and due at once.
  queues_[work.key].push_front({.work = work, .since_s = 0});
  return work.id;
}

int64_t Scheduler::prompt_room(int64_t answers) {
  const int64_t room = options_.step_tokens_max - answers;
  if (answers == 0) return room;
  if (++mixed_steps_ % kPlainStepEvery == 0 || answers_step_s_ == 0) return 0;
  const double step_s = options_.step_s > 0 ? options_.step_s : 2 * answers_step_s_;
  if (prompt_token_s_ == 0) return std::min(room, options_.prompt_tokens_min);
  const auto affordable = static_cast<int64_t>(std::min((step_s - answers_step_s_) / prompt_token_s_, 1e9));
  return std::min(room, std::max(affordable, options_.prompt_tokens_min));
}

std::vector<StepShare> Scheduler::plan() {
  std::vector<const Running*> prompts;
  for (const auto& [id, running] : running_) {
    if (!running.is_paused && running.prompt_left > 0) prompts.push_back(&running);
  }
  // Answers leave some of a step to prompts, or a full step of answers would keep everybody else from starting.
  const int64_t kept_for_prompts =
      prompts.empty() ? 0 : std::min(options_.prompt_tokens_min, options_.step_tokens_max / 2);
  const int64_t answers_max = options_.step_tokens_max - kept_for_prompts;
  std::vector<StepShare> shares;
  const auto add_answer = [&](const Running& running) {
    if (running.is_paused || running.prompt_left > 0) return;
    if (static_cast<int64_t>(shares.size()) == answers_max) return;
    shares.push_back({.id = running.work.id, .tokens_max = 1, .is_prompt = false});
  };
  const auto turn = running_.upper_bound(last_answer_);
  for (auto it = turn; it != running_.end(); ++it) add_answer(it->second);
  for (auto it = running_.begin(); it != turn; ++it) add_answer(it->second);
  if (!shares.empty()) last_answer_ = shares.back().id;
  if (prompts.empty()) return shares;

  int64_t room = prompt_room(static_cast<int64_t>(shares.size()));
  // The oldest, so that it ends, and beside it the shortest, so that they do not wait for it.
  std::sort(prompts.begin(), prompts.end(), [](const Running* a, const Running* b) { return a->order < b->order; });
  if (prompts.size() > 1) {
    std::sort(prompts.begin() + 1, prompts.end(),
              [](const Running* a, const Running* b) { return a->prompt_left < b->prompt_left; });
  }
  const auto n = std::min<size_t>(prompts.size(), static_cast<size_t>(options_.prompts_at_once));
  // The short one first, with at most half of the room, so that the long one goes on as well.
  for (size_t i = n; i-- > 0;) {
    const int64_t tokens = std::min(prompts[i]->prompt_left, i == 0 ? room : std::max<int64_t>(room / 2, 1));
    if (tokens <= 0 || room <= 0) continue;
    shares.push_back({.id = prompts[i]->work.id, .tokens_max = tokens, .is_prompt = true});
    room -= tokens;
  }
  return shares;
}

void Scheduler::ran(int64_t answers, int64_t prompt_tokens, double seconds) {
  if (answers > 0 && prompt_tokens == 0) {
    answers_step_s_ = averaged(answers_step_s_, seconds);
  } else if (prompt_tokens > 0) {
    const double answers_s = answers > 0 ? answers_step_s_ : 0;
    prompt_token_s_ =
        averaged(prompt_token_s_, std::max(seconds - answers_s, 1e-9) / static_cast<double>(prompt_tokens));
  }
}

int64_t Scheduler::n_waiting() const {
  int64_t n = 0;
  for (const auto& [key, queue] : queues_) n += static_cast<int64_t>(queue.size());
  return n;
}

uint64_t Scheduler::reserved_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [id, running] : running_) bytes += running.reserved_bytes;
  return bytes;
}

double Scheduler::retry_after_s() const {
  // The prompts and answers that wait, at the speed of the last steps, shared by what runs together.
  double tokens_s = 0;
  for (const auto& [key, queue] : queues_) {
    for (const Waiting& waiting : queue) {
      tokens_s += static_cast<double>(waiting.work.prompt_tokens - waiting.work.cached_tokens) * prompt_token_s_;
    }
  }
  return std::clamp(tokens_s / 4 + 1, 1.0, 60.0);
}

}  // namespace hadal
