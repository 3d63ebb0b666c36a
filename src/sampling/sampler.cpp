#include "sampling/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "sampling/philox.h"
#include "sampling/weights.h"

namespace hadal {
namespace {

// The words of save(): version, seed, tokens accepted, prompt tokens, then all tokens.
constexpr uint64_t kStateVersion = 0x48534D504C000001;  // "HSMPL", 1
constexpr size_t kStateHeadWords = 4;

// The index at which the running sum of weights first exceeds `point`, which is less than their sum.
template <class Weights, class WeightOf>
size_t index_at(const Weights& weights, uint64_t point, WeightOf weight_of) {
  size_t i = 0;
  while (point >= weight_of(weights[i])) point -= weight_of(weights[i++]);
  return i;
}

template <class T>
uint64_t capacity_bytes(const std::vector<T>& values) {
  return values.capacity() * sizeof(T);
}

Error bad_state(std::string want, std::string found) {
  return {.code = ErrorCode::kCorrupt,
          .what = "saved sampler state is not valid",
          .in = "sampler state",
          .want = std::move(want),
          .found = std::move(found),
          .hint = ""};
}

}  // namespace

uint64_t SamplingWork::memory_bytes() const {
  return capacity_bytes(logits_) + capacity_bytes(ranked_) + capacity_bytes(spare_ranked_) +
         capacity_bytes(ranked_logits_) + capacity_bytes(weights_) + capacity_bytes(candidates_) +
         capacity_bytes(spare_candidates_);
}

Sampler::Sampler(const SamplingOptions& options, int64_t vocab_size)
    : options_(options),
      vocab_size_(vocab_size),
      history_(vocab_size, options.repetition_window, has_penalties(options)) {
  HADAL_CHECK(vocab_size > 0 && vocab_size <= kVocabMax, "vocabulary has a size that weights can sum", vocab_size);
}

void Sampler::begin(std::span<const TokenId> prompt) {
  history_.begin(prompt);
}

void Sampler::accept(TokenId token) {
  history_.push(token);
  ++n_accepted_;
}

Result<Sampled> Sampler::sample(std::span<const float> logits, SamplingWork& work) const {
  HADAL_CHECK(static_cast<int64_t>(logits.size()) == vocab_size_, "one logit for each token", logits.size());
  HADAL_ASSIGN(const float raw_max, check_and_max(logits));
  std::span<const float> adjusted = logits;
  float max = raw_max;
  if (has_penalties(options_) || !options_.logit_bias.empty()) {
    adjusted = adjust(logits, work);
    HADAL_ASSIGN(max, check_and_max(adjusted));
  }
  Sampled sampled;
  sampled.token = is_greedy() ? first_equal(adjusted, max) : draw(adjusted, max, work);
  if (options_.logprobs.has_value()) add_logprobs(logits, raw_max, work, sampled);
  return sampled;
}

std::span<const float> Sampler::adjust(std::span<const float> logits, SamplingWork& work) const {
  work.logits_.assign(logits.begin(), logits.end());
  history_.apply(options_, work.logits_);
  for (const auto& [token, bias] : options_.logit_bias) work.logits_[static_cast<size_t>(token)] += bias;
  return work.logits_;
}

TokenId Sampler::draw(std::span<const float> logits, float max, SamplingWork& work) const {
  const uint64_t bits = random_bits(options_.seed, n_accepted_);
  std::span<const uint64_t> weights;
  if (has_top_k()) {
    weights = weigh_top_k(logits, max, work);
  } else {
    work.weights_.resize(logits.size());
    weigh(logits, max, options_.temperature, work.weights_);
    weights = work.weights_;
  }
  const auto token_of = [&](size_t i) { return has_top_k() ? work.ranked_[i].id : static_cast<TokenId>(i); };
  const uint64_t total = sum(weights);
  if (options_.top_p >= 1 && options_.min_p <= 0) {
    return token_of(index_at(weights, scale_to(bits, total), [](uint64_t weight) { return weight; }));
  }

  const uint64_t need = share_of(total, options_.top_p);
  // All tokens of at most (total - need) / V together have no more than what top-p leaves out: none of them is kept.
  // That spares all but a few hundred tokens of a usual distribution the search for the nucleus.
  const uint64_t least = std::max(least_weight(options_.min_p), (total - need) / weights.size() + 1);
  work.candidates_.clear();
  work.candidates_.reserve(weights.size());
  work.spare_candidates_.reserve(weights.size());
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] >= least) work.candidates_.push_back({weights[i], static_cast<TokenId>(i)});
  }
  keep_nucleus(work.candidates_, need, work.spare_candidates_);
  uint64_t kept = 0;
  for (const Candidate& candidate : work.candidates_) kept += candidate.weight;
  const size_t drawn =
      index_at(work.candidates_, scale_to(bits, kept), [](const Candidate& candidate) { return candidate.weight; });
  return token_of(static_cast<size_t>(work.candidates_[drawn].id));
}

// Leaves the k best in work.ranked_ and returns their weights.
std::span<const uint64_t> Sampler::weigh_top_k(std::span<const float> logits, float max, SamplingWork& work) const {
  select_top_k(logits, options_.top_k, work.ranked_, work.spare_ranked_);
  work.ranked_logits_.clear();
  work.ranked_logits_.reserve(static_cast<size_t>(options_.top_k));
  for (const RankedLogit& ranked : work.ranked_) work.ranked_logits_.push_back(ranked.logit);
  work.weights_.resize(work.ranked_.size());
  weigh(work.ranked_logits_, max, options_.temperature, work.weights_);
  return work.weights_;
}

void Sampler::add_logprobs(std::span<const float> logits, float max, SamplingWork& work, Sampled& sampled) const {
  work.weights_.resize(logits.size());
  weigh(logits, max, 1.0, work.weights_);
  const double log_sum = std::log(static_cast<double>(sum(work.weights_)) / static_cast<double>(kWeightOne));
  const auto logprob = [max, log_sum](float logit) {
    return static_cast<float>(static_cast<double>(logit) - static_cast<double>(max) - log_sum);
  };
  sampled.logprob = logprob(logits[static_cast<size_t>(sampled.token)]);
  if (*options_.logprobs == 0) return;
  select_top_k(logits, *options_.logprobs, work.ranked_, work.spare_ranked_);
  std::sort(work.ranked_.begin(), work.ranked_.end(), [](const auto& a, const auto& b) { return ranks_before(a, b); });
  sampled.n_top_logprobs = static_cast<int>(work.ranked_.size());
  for (size_t i = 0; i < work.ranked_.size(); ++i) {
    sampled.top_logprobs[i] = {work.ranked_[i].id, logprob(work.ranked_[i].logit)};
  }
}

std::vector<uint64_t> Sampler::save() const {
  std::vector<uint64_t> words = {kStateVersion, options_.seed, n_accepted_, history_.prompt_tokens()};
  for (const TokenId token : history_.tokens()) words.push_back(static_cast<uint64_t>(token));
  return words;
}

Result<void> Sampler::restore(std::span<const uint64_t> words) {
  if (words.size() < kStateHeadWords) {
    return bad_state(fmt::format("at least {} words", kStateHeadWords), fmt::format("{}", words.size()));
  }
  if (words[0] != kStateVersion) {
    return bad_state(fmt::format("version {:#x}", kStateVersion), fmt::format("{:#x}", words[0]));
  }
  const std::span<const uint64_t> saved_tokens = words.subspan(kStateHeadWords);
  if (words[3] > saved_tokens.size()) {
    return bad_state(fmt::format("at most {} prompt tokens", saved_tokens.size()), fmt::format("{}", words[3]));
  }
  std::vector<TokenId> tokens;
  tokens.reserve(saved_tokens.size());
  for (const uint64_t token : saved_tokens) {
    if (token >= static_cast<uint64_t>(vocab_size_)) {
      return bad_state(fmt::format("token ids 0 to {}", vocab_size_ - 1), fmt::format("{}", token));
    }
    tokens.push_back(static_cast<TokenId>(token));
  }
  options_.seed = words[1];
  n_accepted_ = words[2];
  const std::span<const TokenId> all = tokens;
  history_.begin(all.first(words[3]));
  for (const TokenId token : all.subspan(words[3])) history_.push(token);
  return {};
}

}  // namespace hadal
