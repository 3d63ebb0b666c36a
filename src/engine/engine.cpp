#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/check.h"
#include "device/cpu/host_memory.h"
#include "model/device_weights.h"
#include "plan/device_support.h"
#include "plan/step_cost.h"

namespace hadal {
namespace {

// Without a wish: long enough for a chat, small enough for every machine.
constexpr int64_t kDefaultContextTokens = 4096;

// Code of the program and its libraries that becomes resident with the first model and the first step; 3 to 4 MiB were
// measured.
constexpr uint64_t kCodeTouchedBytes = uint64_t{7} << 19;

// Tails kept besides the spaced ones: the ends of the last prompts, where a conversation is edited or branches.
constexpr size_t kRecentCheckpoints = 4;

struct Sequence {
  explicit Sequence(SequenceState s) : state(std::move(s)) {}

  SequenceState state;
  std::deque<int32_t> queue;
  // Of the queued tokens: logits of all, or of the last, or none. A later submission's wish counts from its first
  // token.
  std::deque<bool> wants_logits;
  std::set<int64_t> borders;  // where chunks end and a checkpoint is kept, ahead of state.length()
  bool is_broken = false;

  int64_t queued() const { return static_cast<int64_t>(queue.size()); }
};

Result<EngineOptions> with_defaults(const LoadedModel& model, EngineOptions options) {
  const int64_t context_max = model.description.context_tokens_max;
  if (options.context_tokens == 0) options.context_tokens = std::min(kDefaultContextTokens, context_max);
  if (options.context_tokens < 1 || options.context_tokens > context_max) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "the context is outside the model's range",
                 .in = "--context",
                 .want = fmt::format("1 to {} tokens (max_position_embeddings of config.json)", context_max),
                 .found = fmt::format("{}", options.context_tokens),
                 .hint = ""};
  }
  if (options.chunk_tokens < 1 || options.chunk_tokens > 65536) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "the chunk is outside its range",
                 .in = "--chunk",
                 .want = "1 to 65536 tokens",
                 .found = fmt::format("{}", options.chunk_tokens),
                 .hint = ""};
  }
  options.chunk_tokens = std::min(options.chunk_tokens, options.context_tokens);
  if (options.n_threads <= 0) options.n_threads = available_processors();
  options.mtp = options.mtp && model.weights.has_mtp();
  if (!options.state) options.state = default_state_options(model.description, options.mode);
  options.state->mtp = options.mtp;
  return options;
}

ForwardOptions forward_options(const LoadedModel& model, const EngineOptions& options) {
  return {.mode = options.mode,
          .tokens_max = options.chunk_tokens,
          .context_tokens = options.context_tokens,
          .mtp = options.mtp,
          .has_blocks = model.weights.has_block_types(),
          .wants_scores = options.wants_scores,
          .inputs = options.inputs};
}

CpuDevice::Options cpu_options(const EngineOptions& options) {
  return {
      .n_threads = options.n_threads, .pin = options.pin, .level = options.cpu_level.value_or(detected_cpu_level())};
}

// A GPU is opened before the plan, which counts with what is free there; a CPU after it, or the plan would count its
// threads twice.
Result<std::unique_ptr<Device>> open_gpu(const LoadedModel& model, const EngineOptions& options) {
  if (options.device.kind == Device::Kind::kCpu) return std::unique_ptr<Device>();
  HADAL_CHECK(options.inputs == nullptr, "inputs of matrices are on the GPU");
  HADAL_TRY(check_device_support(options.device.kind, model.description, model.weights.weights(), options.mode));
  return open_device(options.device, cpu_options(options));
}

Result<Plan> plan_of(const LoadedModel& model, const EngineOptions& options, const StateLayout& layout,
                     const Device* gpu) {
  Device::MemoryLeft gpu_memory;
  if (gpu != nullptr) {
    HADAL_ASSIGN(gpu_memory, gpu->memory_left());
  }
  const Device::Shape shape =
      gpu != nullptr ? gpu->shape() : Device::Shape{.kind = Device::Kind::kCpu, .n_threads = options.n_threads};
  const WeightBytes weights = weight_bytes(model.weights.weights(), options.mtp);
  const HostMemory host = host_memory();
  const uint64_t tokenizer_bytes = model.tokenizer ? model.tokenizer->memory_bytes() : 0;
  const uint64_t owned_bytes = model.weights.owned_bytes();
  // The heap is what it is, but two of its parts have rows of their own.
  const uint64_t anonymous_bytes = resident_anonymous_bytes();
  const uint64_t heap_bytes = anonymous_bytes - std::min(anonymous_bytes, tokenizer_bytes + owned_bytes);
  return make_plan(
      {.program_bytes = model.program_file_bytes + kCodeTouchedBytes + heap_bytes,
       .n_threads = options.n_threads,
       .expert_bytes = weights.experts,
       .engram_table_bytes = weights.engram_tables,
       .other_weight_bytes = weights.others + model.widened_source_bytes,
       .owned_weight_bytes = owned_bytes,
       .tokenizer_bytes = tokenizer_bytes,
       .tokenizer_file_bytes = model.tokenizer_file_bytes,
       .workspace_bytes = ForwardPass::workspace_bytes(model.description, forward_options(model, options), shape),
       .state_bytes =
           layout.state_bytes(options.context_tokens, options.context_tokens / options.checkpoint_spacing_tokens +
                                                          static_cast<int64_t>(kRecentCheckpoints)),
       .context_tokens = options.context_tokens,
       .sequences = options.sequences,
       .available_bytes = host.available_bytes,
       .data_limit_bytes = host.data_limit_bytes,
       .address_limit_bytes = host.address_limit_bytes,
       .on_gpu = gpu != nullptr,
       .gpu_weight_bytes =
           gpu == nullptr ? 0 : static_cast<uint64_t>(DeviceWeights::copy_bytes(model.weights.weights(), options.mtp)),
       .gpu_available_bytes = static_cast<uint64_t>(gpu_memory.free_bytes)});
}

// Hands a pass's results on under the ids of the engine.
class Forwarding final : public StepObserver {
 public:
  Forwarding(EngineObserver& observer, const std::vector<SequenceId>& ids, int64_t n_experts_per_token)
      : observer_(observer), ids_(ids), n_experts_per_token_(n_experts_per_token) {}
  void logits(size_t sequence, int64_t position, std::span<const float> logits) override {
    observer_.logits(ids_[sequence], position, logits);
  }
  bool wants_layers() const override { return observer_.wants_experts(); }
  bool wants_all_rows() const override { return false; }
  void experts(size_t sequence, size_t layer, int64_t /*first_position*/, int64_t T, const int32_t* experts,
               const float* /*weights*/) override {
    const auto n = static_cast<size_t>(T * n_experts_per_token_);
    observer_.experts(ids_[sequence], layer, {experts, n});
  }

 private:
  EngineObserver& observer_;
  const std::vector<SequenceId>& ids_;
  int64_t n_experts_per_token_;
};

}  // namespace

struct Engine::Impl {
  std::shared_ptr<const LoadedModel> model;
  EngineOptions options;
  Plan plan;
  std::unique_ptr<Device> device;
  DeviceWeights weights;
  std::shared_ptr<const StateLayout> layout;
  std::optional<ForwardPass> pass;
  std::map<SequenceId, Sequence> sequences;
  SequenceId next_id = 1;
  SequenceId last_served = 0;

  Sequence& at(SequenceId id) {
    const auto found = sequences.find(id);
    HADAL_CHECK(found != sequences.end(), "no sequence", id);
    return found->second;
  }

  SequenceId add(SequenceState state) {
    const SequenceId id = next_id++;
    sequences.emplace(id, Sequence(std::move(state)));
    return id;
  }

  // How many queued tokens of a sequence run next: to the next border that is to be kept, if one lies ahead.
  int64_t chunk_of(const Sequence& sequence, int64_t room) const {
    const int64_t begin = sequence.state.length();
    const int64_t all = begin + sequence.queued();
    int64_t end = std::min(all, begin + room);
    const int64_t spacing = options.checkpoint_spacing_tokens;
    const int64_t next_spaced = (begin / spacing + 1) * spacing;
    if (next_spaced < end) end = next_spaced;
    const auto next_border = sequence.borders.upper_bound(begin);
    if (next_border != sequence.borders.end() && *next_border < end) end = *next_border;
    return end - begin;
  }

  Result<void> keep_checkpoint(Sequence& sequence) const {
    const int64_t length = sequence.state.length();
    const int64_t spacing = options.checkpoint_spacing_tokens;
    const bool is_border = sequence.borders.count(length) > 0;
    sequence.borders.erase(sequence.borders.begin(), sequence.borders.upper_bound(length));
    if (length % spacing != 0 && !is_border) return {};
    HADAL_TRY(sequence.state.keep_checkpoint());
    sequence.state.thin_checkpoints(spacing, kRecentCheckpoints);
    return {};
  }
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Result<Plan> Engine::plan(const LoadedModel& model, const EngineOptions& wanted) {
  HADAL_ASSIGN(const EngineOptions options, with_defaults(model, wanted));
  HADAL_ASSIGN(const StateLayout layout,
               StateLayout::create(model.description, model.identity, options.mode, *options.state));
  HADAL_ASSIGN(const std::unique_ptr<Device> gpu, open_gpu(model, options));
  return plan_of(model, options, layout, gpu.get());
}

Result<Engine> Engine::create(std::shared_ptr<const LoadedModel> model, const EngineOptions& wanted) {
  auto impl = std::make_unique<Impl>();
  HADAL_ASSIGN(impl->options, with_defaults(*model, wanted));
  HADAL_ASSIGN(StateLayout layout,
               StateLayout::create(model->description, model->identity, impl->options.mode, *impl->options.state));
  impl->layout = std::make_shared<const StateLayout>(std::move(layout));
  HADAL_ASSIGN(impl->device, open_gpu(*model, impl->options));
  HADAL_ASSIGN(impl->plan, plan_of(*model, impl->options, *impl->layout, impl->device.get()));
  if (impl->options.check_memory) HADAL_TRY(check_plan(impl->plan));
  if (impl->device == nullptr) {
    HADAL_ASSIGN(impl->device, open_device(impl->options.device, cpu_options(impl->options)));
  }
  HADAL_ASSIGN(impl->weights, DeviceWeights::create(*impl->device, model->weights.weights(), impl->options.mtp));
  HADAL_ASSIGN(ForwardPass pass, ForwardPass::create(*impl->device, model->description, impl->weights.weights(),
                                                     forward_options(*model, impl->options)));
  impl->pass = std::move(pass);
  impl->model = std::move(model);
  return Engine(std::move(impl));
}

const LoadedModel& Engine::model() const {
  return *impl_->model;
}
const EngineOptions& Engine::options() const {
  return impl_->options;
}
const Plan& Engine::plan() const {
  return impl_->plan;
}
const StateLayout& Engine::layout() const {
  return *impl_->layout;
}
Device& Engine::device() {
  return *impl_->device;
}

Result<SequenceId> Engine::open() {
  HADAL_ASSIGN(SequenceState state, SequenceState::create(*impl_->device, impl_->layout));
  return impl_->add(std::move(state));
}

Result<SequenceId> Engine::open_from(const StatePrefix& prefix) {
  HADAL_ASSIGN(SequenceState state, SequenceState::create_from(*impl_->device, impl_->layout, prefix));
  return impl_->add(std::move(state));
}

void Engine::close(SequenceId id) {
  impl_->sequences.erase(id);
}

Result<void> Engine::submit(SequenceId id, std::span<const int32_t> ids, LogitsWanted wanted) {
  Sequence& sequence = impl_->at(id);
  const int64_t after = sequence.state.length() + sequence.queued() + static_cast<int64_t>(ids.size());
  if (after > impl_->options.context_tokens) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "the conversation does not fit the context",
                 .in = "",
                 .want = fmt::format("at most {} tokens", impl_->options.context_tokens),
                 .found = fmt::format("{} tokens", after),
                 .hint = fmt::format("start with a larger --context (the model allows {}), or shorten the prompt",
                                     impl_->model->description.context_tokens_max)};
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    HADAL_CHECK(ids[i] >= 0 && ids[i] < impl_->model->description.vocab_size, "token id", ids[i]);
    sequence.queue.push_back(ids[i]);
    sequence.wants_logits.push_back(wanted == LogitsWanted::kAll ||
                                    (wanted == LogitsWanted::kLast && i + 1 == ids.size()));
  }
  const int64_t page_tokens = impl_->layout->page_tokens;
  if (ids.size() > 1) sequence.borders.insert(after / page_tokens * page_tokens);
  return {};
}

void Engine::keep_at(SequenceId id, std::span<const int64_t> borders) {
  Sequence& sequence = impl_->at(id);
  for (const int64_t border : borders) {
    HADAL_CHECK(border % impl_->layout->page_tokens == 0, "no page border", border);
    if (border > sequence.state.length()) sequence.borders.insert(border);
  }
}

Result<bool> Engine::step(EngineObserver& observer) {
  // In turn, beginning behind the one that was served last, so that nobody waits for ever.
  std::vector<Share> shares;
  const int64_t chunk = impl_->options.chunk_tokens;
  const auto first = impl_->sequences.upper_bound(impl_->last_served);
  for (auto it = first; it != impl_->sequences.end(); ++it) shares.push_back({it->first, chunk});
  for (auto it = impl_->sequences.begin(); it != first; ++it) shares.push_back({it->first, chunk});
  return step(shares, observer);
}

Result<bool> Engine::step(std::span<const Share> shares, EngineObserver& observer) {
  std::vector<SequenceId> ids;
  std::vector<std::vector<int32_t>> tokens;
  std::vector<std::vector<int64_t>> logits_at;
  int64_t room = impl_->options.chunk_tokens;
  for (const Share& share : shares) {
    Sequence& sequence = impl_->at(share.id);
    const int64_t most = std::min(room, share.tokens_max);
    if (sequence.queue.empty() || sequence.is_broken || most <= 0) continue;
    const int64_t n = impl_->chunk_of(sequence, most);
    std::vector<int64_t> wanted;
    for (int64_t i = 0; i < n; ++i) {
      if (sequence.wants_logits[static_cast<size_t>(i)]) wanted.push_back(sequence.state.length() + i);
    }
    ids.push_back(share.id);
    tokens.emplace_back(sequence.queue.begin(), sequence.queue.begin() + n);
    logits_at.push_back(std::move(wanted));
    room -= n;
    impl_->last_served = share.id;
  }
  if (ids.empty()) return false;

  std::vector<SequenceStep> steps;
  for (size_t s = 0; s < ids.size(); ++s) {
    steps.push_back(
        {.state = &impl_->at(ids[s]).state, .ids = tokens[s], .logits_at = logits_at[s], .mtp_logits_at = {}});
  }
  Forwarding forwarding(observer, ids, impl_->model->description.n_experts_per_token);
  const Result<void> result = impl_->pass->run(steps, forwarding);
  for (size_t s = 0; s < ids.size(); ++s) {
    // The observer may not close sequences, so they are all still there.
    Sequence& sequence = impl_->at(ids[s]);
    sequence.is_broken = !result.ok();
    const auto n = static_cast<std::ptrdiff_t>(tokens[s].size());
    sequence.queue.erase(sequence.queue.begin(), sequence.queue.begin() + n);
    sequence.wants_logits.erase(sequence.wants_logits.begin(), sequence.wants_logits.begin() + n);
    if (result.ok()) HADAL_TRY(impl_->keep_checkpoint(sequence));
  }
  HADAL_TRY(result);
  return true;
}

Result<void> Engine::run(EngineObserver& observer) {
  while (true) {
    HADAL_ASSIGN(const bool worked, step(observer));
    if (!worked) return {};
  }
}

int64_t Engine::length(SequenceId id) const {
  return impl_->at(id).state.length();
}
int64_t Engine::pending(SequenceId id) const {
  return impl_->at(id).queued();
}
std::vector<int32_t> Engine::tokens(SequenceId id) const {
  return impl_->at(id).state.tokens();
}
uint64_t Engine::state_bytes(SequenceId id) const {
  return impl_->at(id).state.memory_bytes();
}

std::vector<std::shared_ptr<const StatePage>> Engine::full_pages(SequenceId id) const {
  return impl_->at(id).state.full_pages();
}
std::vector<std::shared_ptr<const StateCheckpoint>> Engine::kept_checkpoints(SequenceId id) const {
  return impl_->at(id).state.kept_checkpoints();
}

Result<int64_t> Engine::truncate(SequenceId id, int64_t n) {
  Sequence& sequence = impl_->at(id);
  sequence.queue.clear();
  sequence.wants_logits.clear();
  sequence.borders.clear();
  HADAL_ASSIGN(const std::vector<int32_t> replay, sequence.state.truncate(std::min(n, sequence.state.length())));
  HADAL_TRY(submit(id, replay, LogitsWanted::kNone));
  return static_cast<int64_t>(replay.size());
}

Result<SequenceId> Engine::fork(SequenceId id) {
  Sequence& sequence = impl_->at(id);
  HADAL_CHECK(sequence.queue.empty(), "fork with queued tokens", sequence.queued());
  HADAL_ASSIGN(SequenceState state, sequence.state.fork());
  return impl_->add(std::move(state));
}

Result<void> Engine::save(SequenceId id, ByteSink& sink) const {
  return impl_->at(id).state.save(sink);
}

Result<SequenceId> Engine::restore(std::span<const std::byte> bytes, std::string_view name) {
  HADAL_ASSIGN(SequenceState state, SequenceState::restore(*impl_->device, impl_->layout, bytes, name));
  return impl_->add(std::move(state));
}

}  // namespace hadal
