#include "sampling/penalties.h"

#include "base/check.h"

namespace hadal {

bool has_penalties(const SamplingOptions& options) {
  const bool is_repeating = options.repetition_penalty != 1 && options.repetition_window != 0;
  return is_repeating || options.presence_penalty != 0 || options.frequency_penalty != 0;
}

TokenHistory::TokenHistory(int64_t vocab_size, int64_t window, bool is_counting)
    : window_(window), counts_(is_counting ? static_cast<size_t>(vocab_size) : 0) {}

void TokenHistory::begin(std::span<const TokenId> prompt) {
  for (const TokenId token : listed_) counts_[static_cast<size_t>(token)] = {};
  listed_.clear();
  tokens_.clear();
  tokens_.reserve(prompt.size());
  for (const TokenId token : prompt) {
    tokens_.push_back(token);
    count(token, false);
  }
  n_prompt_ = prompt.size();
}

void TokenHistory::push(TokenId token) {
  tokens_.push_back(token);
  count(token, true);
}

// Counts the last of tokens_, and takes the one that falls out of the window back.
void TokenHistory::count(TokenId token, bool is_answer) {
  if (counts_.empty()) return;
  HADAL_CHECK(token >= 0 && static_cast<size_t>(token) < counts_.size(), "token is in the vocabulary", token);
  Counts& counts = counts_[static_cast<size_t>(token)];
  if (!counts.is_listed) listed_.push_back(token);
  counts.is_listed = true;
  ++counts.in_window;
  if (is_answer) ++counts.in_answer;
  if (window_ >= 0 && tokens_.size() > static_cast<size_t>(window_)) {
    const TokenId left = tokens_[tokens_.size() - 1 - static_cast<size_t>(window_)];
    --counts_[static_cast<size_t>(left)].in_window;
  }
}

void TokenHistory::apply(const SamplingOptions& options, std::span<float> logits) const {
  for (const TokenId token : listed_) {
    const Counts& counts = counts_[static_cast<size_t>(token)];
    double z = logits[static_cast<size_t>(token)];
    if (counts.in_window > 0) z = z > 0 ? z / options.repetition_penalty : z * options.repetition_penalty;
    if (counts.in_answer > 0) z -= options.presence_penalty + options.frequency_penalty * counts.in_answer;
    logits[static_cast<size_t>(token)] = static_cast<float>(z);
  }
}

}  // namespace hadal
