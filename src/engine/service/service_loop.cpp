#include "engine/service/service_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "base/check.h"

namespace hadal {
namespace {

constexpr int kChoicesMax = 16;
constexpr size_t kDecisionsKept = 32;
constexpr double kSpeedWindow_s = 5;

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The two constants of splitmix64: neighbouring choices get unrelated seeds.
uint64_t mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

SchedulerOptions scheduler_options(const Engine& engine, SchedulerOptions options) {
  const StateLayout& layout = engine.layout();
  options.step_tokens_max = engine.options().chunk_tokens;
  options.running_max = std::min(options.running_max, options.step_tokens_max);
  options.token_bytes = static_cast<double>(layout.page_bytes) / static_cast<double>(layout.page_tokens);
  options.sequence_bytes = static_cast<uint64_t>(layout.tail_bytes + layout.page_bytes);
  return options;
}

int64_t common_prefix(const std::vector<TokenId>& a, const std::vector<TokenId>& b) {
  const auto n = static_cast<std::ptrdiff_t>(std::min(a.size(), b.size()));
  return std::mismatch(a.begin(), a.begin() + n, b.begin()).first - a.begin();
}

}  // namespace

uint64_t branch_seed(uint64_t seed, int choice) {
  return choice == 0 ? seed : mixed(seed ^ mixed(static_cast<uint64_t>(choice)));
}

Result<void> check_request(const GenerationRequest& request, const Engine& engine) {
  const auto invalid = [](std::string in, std::string want, std::string found) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "the request cannot be run",
                 .in = std::move(in),
                 .want = std::move(want),
                 .found = std::move(found),
                 .hint = ""};
  };
  if (request.prompt.empty()) return invalid("prompt", "at least one token", "none");
  if (request.n < 1 || request.n > kChoicesMax) return invalid("n", "1 to 16", fmt::format("{}", request.n));
  const int64_t context = engine.options().context_tokens;
  if (static_cast<int64_t>(request.prompt.size()) >= context) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "the prompt is longer than the context",
                 .in = "prompt",
                 .want = fmt::format("fewer than {} tokens", context),
                 .found = fmt::format("{} tokens", request.prompt.size()),
                 .hint = "shorten the conversation, or start the server with a larger --context"};
  }
  HADAL_TRY(check(request.options.sampling, engine.model().description.vocab_size));
  HADAL_TRY(StopMatcher::create(request.options.stop));
  return {};
}

// Copies of a step's logits: answers are taken further when the step is over.
class ServiceLoop::Results final : public EngineObserver {
 public:
  void logits(SequenceId id, int64_t /*position*/, std::span<const float> logits) override {
    rows.emplace_back(id, std::vector<float>(logits.begin(), logits.end()));
  }
  std::vector<std::pair<SequenceId, std::vector<float>>> rows;
};

ServiceLoop::ServiceLoop(Engine engine, const ServiceOptions& options)
    : engine_(std::move(engine)),
      options_(options),
      scheduler_(scheduler_options(engine_, options.scheduler)),
      cache_(engine_, options.cache_bytes) {}

ServiceLoop::~ServiceLoop() = default;

void ServiceLoop::add(RequestId id, GenerationRequest request, std::shared_ptr<AnswerSink> sink) {
  auto owner = std::make_shared<ServiceRequest>();
  owner->id = id;
  owner->request = std::move(request);
  owner->sink = std::move(sink);
  const GenerationRequest& r = owner->request;
  const auto prompt_tokens = static_cast<int64_t>(r.prompt.size());
  const int64_t room = engine_.options().context_tokens - prompt_tokens;
  const int64_t wanted = r.options.max_tokens < 0 ? room : std::min(room, r.options.max_tokens);
  const Work work{.id = ++last_work_,
                  .key = r.key,
                  .priority = r.priority,
                  .prompt_tokens = prompt_tokens,
                  .cached_tokens = cache_.reusable(r.scope, r.prompt),
                  .answer_tokens_max = wanted};
  if (const Result<void> added = scheduler_.add(work, now_s()); !added.ok()) {
    owner->sink->failed(added.error());
    return;
  }
  streams_[work.id] = std::make_unique<ServiceStream>(work.id, std::move(owner), 0);
}

void ServiceLoop::cancel(RequestId id) {
  std::vector<WorkId> works;
  for (const auto& [work, stream] : streams_) {
    if (stream->request->id == id) works.push_back(work);
  }
  for (const WorkId work : works) {
    ServiceStream& stream = *streams_.at(work);
    const std::shared_ptr<ServiceRequest> request = stream.request;
    // In front of the first token there is one stream for all answers.
    const int last_choice = stream.is_in_prompt() ? request->request.n - 1 : stream.choice;
    int next_choice = stream.choice;
    if (stream.generation) {
      stream.generation->cancel(now_s());
      finish(work);
      ++next_choice;
    } else {
      end_stream(work);
    }
    Generated nothing;
    nothing.finish_reason = FinishReason::kCancelled;
    nothing.usage.prompt_tokens = static_cast<int64_t>(request->request.prompt.size());
    for (int choice = next_choice; choice <= last_choice; ++choice) request->sink->finished(choice, nothing);
  }
}

void ServiceLoop::cancel_all() {
  std::set<RequestId> ids;
  for (const auto& [work, stream] : streams_) ids.insert(stream->request->id);
  for (const RequestId id : ids) cancel(id);
}

void ServiceLoop::set_paused(RequestId id, bool is_paused) {
  for (const auto& [work, stream] : streams_) {
    if (stream->request->id == id) scheduler_.set_paused(work, is_paused);
  }
}

ServiceStream* ServiceLoop::find_sequence(SequenceId id) {
  for (const auto& [work, stream] : streams_) {
    if (stream->sequence == id) return stream.get();
  }
  return nullptr;
}

// Whether another request of the scope is computing a prefix that this one could use: it waits for that.
bool ServiceLoop::is_held(const ServiceStream& stream) {
  if (stream.generation) return false;
  const GenerationRequest& mine = stream.request->request;
  const int64_t page = engine_.layout().page_tokens;
  for (const auto& [work, other] : streams_) {
    if (!other->sequence || !other->is_in_prompt() || other->request->request.scope != mine.scope) continue;
    const int64_t common = common_prefix(mine.prompt, other->request->request.prompt);
    const int64_t border = std::min(common, static_cast<int64_t>(mine.prompt.size()) - 1) / page * page;
    if (border <= engine_.length(*other->sequence) || border <= cache_.reusable(mine.scope, mine.prompt)) continue;
    engine_.keep_at(*other->sequence, std::span(&border, 1));
    return true;
  }
  return false;
}

void ServiceLoop::start_waiting() {
  while (true) {
    const auto work = scheduler_.admit(now_s(), [this](WorkId id) { return is_held(*streams_.at(id)); });
    if (!work) return;
    ServiceStream& stream = *streams_.at(*work);
    if (const Result<void> started = start(stream); !started.ok()) fail(stream.request->id, started.error());
  }
}

Result<void> ServiceLoop::start(ServiceStream& stream) {
  const GenerationRequest& request = stream.request->request;
  const std::vector<TokenId> past = stream.past();
  const PrefixCache::Found found = cache_.find(request.scope, past, now_s());
  HADAL_ASSIGN(stream.sequence, engine_.open_from(found.prefix));
  stream.checkpoints_stored = found.match.reused;
  if (stream.generation) {  // it gave way and goes on
    HADAL_TRY(stream.generation->continue_in(*stream.sequence, request.prompt));
  } else {
    const CacheDecision decision{.scope = request.scope,
                                 .prompt_tokens = static_cast<int64_t>(past.size()),
                                 .matched_tokens = found.match.matched,
                                 .reused_tokens = found.match.reused,
                                 .end = found.match.end};
    decisions_.push_front(decision);
    if (decisions_.size() > kDecisionsKept) decisions_.pop_back();
    totals_.prompt_tokens += decision.prompt_tokens;
    totals_.reused_tokens += decision.reused_tokens;
    stream.request->sink->started(decision);
    HADAL_ASSIGN(stream.generation,
                 Generation::start(engine_, *stream.sequence, past, request.options, now_s(), stream));
  }
  if (!engine_.layout().is_append_only()) {
    engine_.keep_at(*stream.sequence,
                    checkpoint_borders(request.message_ends, static_cast<int64_t>(past.size()), found.match.matched,
                                       found.match.reused, options_.message_ends_kept, engine_.layout().page_tokens));
  }
  scheduler_.set_prompt_left(stream.work, engine_.pending(*stream.sequence));
  return {};
}

// Who gives way keeps what it has in the tree and its answer where it is.
void ServiceLoop::make_room() {
  while (const auto work = scheduler_.preempt()) {
    ServiceStream& stream = *streams_.at(*work);
    store(stream);
    engine_.close(*stream.sequence);
    stream.sequence.reset();
    ++totals_.preemptions;
  }
}

bool ServiceLoop::step() {
  start_waiting();
  make_room();
  std::vector<Engine::Share> shares;
  int64_t n_answers = 0, prompt_before = 0, prompt_after = 0;
  std::vector<ServiceStream*> prompts;
  for (const StepShare& share : scheduler_.plan()) {
    ServiceStream& stream = *streams_.at(share.id);
    shares.push_back({.id = *stream.sequence, .tokens_max = share.tokens_max});
    if (!share.is_prompt) {
      ++n_answers;
      continue;
    }
    prompts.push_back(&stream);
    prompt_before += engine_.pending(*stream.sequence);
  }
  if (shares.empty()) return false;

  Results results;
  const double begin_s = now_s();
  if (const Result<bool> ran = engine_.step(shares, results); !ran.ok()) {
    std::set<RequestId> broken;
    for (const Engine::Share& share : shares) {
      if (const ServiceStream* stream = find_sequence(share.id)) broken.insert(stream->request->id);
    }
    for (const RequestId id : broken) fail(id, ran.error());
    return true;
  }
  for (ServiceStream* stream : prompts) {
    const int64_t left = engine_.pending(*stream->sequence);
    prompt_after += left;
    scheduler_.set_prompt_left(stream->work, left);
    store(*stream);
    if (left > 0) stream->generation->report_progress();
  }
  take_results(results);
  const double end_s = now_s();
  scheduler_.ran(n_answers, prompt_before - prompt_after, end_s - begin_s);
  count_speed(prompt_before - prompt_after, static_cast<int64_t>(results.rows.size()), end_s, end_s - begin_s);
  return true;
}

void ServiceLoop::take_results(Results& results) {
  for (auto& [sequence, logits] : results.rows) {
    ServiceStream* stream = find_sequence(sequence);
    if (stream == nullptr) continue;  // its request failed with a branch of this step
    const RequestId id = stream->request->id;
    if (const Result<void> taken = take_logits(*stream, logits); !taken.ok()) fail(id, taken.error());
  }
}

Result<void> ServiceLoop::take_logits(ServiceStream& stream, std::span<float> logits) {
  const bool is_first = stream.is_in_prompt();
  if (is_first && stream.choice == 0 && stream.request->request.n > 1) HADAL_TRY(branch(stream, logits));
  HADAL_TRY(stream.generation->take_logits(logits, sampling_, now_s()));
  ++totals_.generated_tokens;
  const int64_t length = engine_.length(*stream.sequence);
  const int64_t page = engine_.layout().page_tokens;
  if (length % page == 0) store(stream);
  // The end of a reply is where the next prompt goes on: its last page border is kept, wherever it ends.
  const int64_t border = (length / page + 1) * page;
  if (!engine_.layout().is_append_only()) engine_.keep_at(*stream.sequence, std::span(&border, 1));
  scheduler_.set_length(stream.work, length + engine_.pending(*stream.sequence));
  if (stream.generation->is_done()) finish(stream.work);
  return {};
}

// The other answers of a request: forks of the sequence behind the prompt, each with the same logits.
Result<void> ServiceLoop::branch(ServiceStream& first, std::span<const float> logits) {
  const GenerationRequest& request = first.request->request;
  for (int choice = 1; choice < request.n; ++choice) {
    const WorkId work = ++last_work_;
    auto stream = std::make_unique<ServiceStream>(work, first.request, choice);
    HADAL_ASSIGN(stream->sequence, engine_.fork(*first.sequence));
    const uint64_t seed = branch_seed(request.options.sampling.seed, choice);
    HADAL_ASSIGN(stream->generation,
                 Generation::branch(*first.generation, *stream->sequence, request.prompt, seed, *stream));
    scheduler_.add_branch(first.work, work);
    ServiceStream& added = *streams_.emplace(work, std::move(stream)).first->second;
    std::vector<float> same(logits.begin(), logits.end());
    HADAL_TRY(take_logits(added, same));
  }
  return {};
}

void ServiceLoop::store(ServiceStream& stream) {
  const std::vector<std::shared_ptr<const StateCheckpoint>> kept = engine_.kept_checkpoints(*stream.sequence);
  const int64_t page = engine_.layout().page_tokens;
  const int64_t newest = engine_.layout().is_append_only() ? engine_.length(*stream.sequence) / page * page
                         : kept.empty()                    ? 0
                                                           : kept.back()->length;
  if (newest <= stream.checkpoints_stored) return;
  cache_.store(stream.request->request.scope, *stream.sequence, now_s());
  stream.checkpoints_stored = newest;
}

// The answer is complete: its sequence goes, and what it computed stays in the tree.
void ServiceLoop::finish(WorkId work) {
  ServiceStream& stream = *streams_.at(work);
  if (stream.sequence) store(stream);
  const std::shared_ptr<ServiceRequest> request = stream.request;
  const int choice = stream.choice;
  const Generated generated = stream.generation->result();
  end_stream(work);
  request->sink->finished(choice, generated);
}

void ServiceLoop::fail(RequestId id, const Error& error) {
  std::shared_ptr<ServiceRequest> request;
  std::vector<WorkId> works;
  for (const auto& [work, stream] : streams_) {
    if (stream->request->id != id) continue;
    request = stream->request;
    works.push_back(work);
  }
  for (const WorkId work : works) end_stream(work);
  if (request) request->sink->failed(error);
}

void ServiceLoop::end_stream(WorkId work) {
  const auto found = streams_.find(work);
  HADAL_CHECK(found != streams_.end(), "no stream", work);
  if (found->second->sequence) engine_.close(*found->second->sequence);
  scheduler_.remove(work);
  streams_.erase(found);
}

void ServiceLoop::count_speed(int64_t prompt_tokens, int64_t answer_tokens, double end_s, double seconds) {
  ++totals_.steps;
  recent_.push_back({end_s, seconds, prompt_tokens, answer_tokens});
  while (recent_.front().end_s < end_s - kSpeedWindow_s) recent_.pop_front();
}

ServiceStatus ServiceLoop::status() const {
  ServiceStatus status = totals_;
  status.waiting = scheduler_.n_waiting();
  status.running = scheduler_.n_running();
  double seconds = 0;
  for (const Slice& slice : recent_) {
    seconds += slice.seconds;
    status.tokens_per_s += static_cast<double>(slice.answer_tokens);
    status.prompt_tokens_per_s += static_cast<double>(slice.prompt_tokens);
  }
  const bool is_current = !recent_.empty() && recent_.back().end_s > now_s() - kSpeedWindow_s && seconds > 0;
  status.tokens_per_s = is_current ? status.tokens_per_s / seconds : 0;
  status.prompt_tokens_per_s = is_current ? status.prompt_tokens_per_s / seconds : 0;
  status.sequence_bytes = scheduler_.reserved_bytes();
  status.sequence_bytes_max = options_.scheduler.memory_bytes;
  status.cache = cache_.tree().stats();
  status.cache_bytes_max = cache_.tree().budget_bytes();
  for (const auto& [work, stream] : streams_) {
    RequestStatus request{.id = stream->request->id,
                          .state = "waiting",
                          .prompt_done = 0,
                          .prompt_tokens = static_cast<int64_t>(stream->request->request.prompt.size()),
                          .generated_tokens = 0};
    if (stream->sequence) {
      request.state = stream->is_in_prompt() ? "prompt" : "answer";
      request.prompt_done = std::min(request.prompt_tokens, engine_.length(*stream->sequence));
    }
    if (stream->generation) request.generated_tokens = stream->generation->usage().generated_tokens;
    status.requests.push_back(std::move(request));
  }
  status.last_decisions.assign(decisions_.begin(), decisions_.end());
  return status;
}

}  // namespace hadal
