#include "constrain/machine.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "base/check.h"

namespace hadal::constrain {

GrammarMachine::GrammarMachine(std::shared_ptr<const TokenTrie> trie, Grammar grammar, TokenId eos)
    : trie_(std::move(trie)), grammar_(std::move(grammar)), eos_(eos) {
  stacks_.push_back({-1, 0});
  start_ = closed({{grammar_.rules[static_cast<size_t>(grammar_.root)], 0}});
  HADAL_CHECK(start_ != kNone, "a grammar that begins nowhere");
}

GrammarMachine::StackId GrammarMachine::pushed(StateId back_to, StackId below) {
  const auto [entry, is_new] = stack_ids_.try_emplace({back_to, below}, static_cast<StackId>(stacks_.size()));
  if (is_new) {
    stacks_.push_back({back_to, below});
    memory_bytes_ += 64;
  }
  return entry->second;
}

// Follows skips, calls and returns until every configuration reads something or ends the text.
GrammarMachine::SetId GrammarMachine::closed(std::vector<Config> open) {
  std::vector<Config> seen;
  std::vector<Config> reading;
  bool can_end = false;
  while (!open.empty()) {
    const Config config = open.back();
    open.pop_back();
    const auto place = std::lower_bound(seen.begin(), seen.end(), config);
    if (place != seen.end() && *place == config) continue;
    seen.insert(place, config);
    const State& state = grammar_.states[static_cast<size_t>(config.state)];
    if (!state.bytes.empty() || !state.tokens.empty()) reading.push_back(config);
    for (const StateId to : state.skips) open.push_back({to, config.stack});
    for (const CallEdge& call : state.calls) {
      open.push_back({grammar_.rules[static_cast<size_t>(call.rule)], pushed(call.to, config.stack)});
    }
    if (!state.is_end) continue;
    if (config.stack == 0) {
      can_end = true;
    } else {
      const Frame frame = stacks_[static_cast<size_t>(config.stack)];
      open.push_back({frame.back_to, frame.below});
    }
  }
  if (reading.empty() && !can_end) return kNone;
  std::sort(reading.begin(), reading.end());
  return intern(std::move(reading), can_end);
}

GrammarMachine::SetId GrammarMachine::intern(std::vector<Config> configs, bool can_end) {
  // Whether the text may end is part of what a set is.
  std::vector<Config> key = configs;
  if (can_end) key.push_back({-1, 0});
  const auto found = set_ids_.find(key);
  if (found != set_ids_.end()) return found->second;
  if (memory_bytes_ > kMemoryMax) return kNone;
  const auto id = static_cast<SetId>(sets_.size());
  memory_bytes_ += 2 * key.size() * sizeof(Config) + 256;
  set_ids_.emplace(std::move(key), id);
  Set set;
  set.configs = std::move(configs);
  set.can_end = can_end;
  sets_.push_back(std::move(set));
  return id;
}

GrammarMachine::SetId GrammarMachine::after_byte(SetId id, uint8_t byte) {
  {
    Set& set = sets_[static_cast<size_t>(id)];
    if (!set.next) {
      set.next = std::make_unique<std::array<SetId, 256>>();
      set.next->fill(kUnknown);
      memory_bytes_ += sizeof(*set.next);
    }
    const SetId known = (*set.next)[byte];
    if (known != kUnknown) return known;
  }
  std::vector<Config> moved;
  for (const Config& config : sets_[static_cast<size_t>(id)].configs) {
    for (const ByteEdge& edge : grammar_.states[static_cast<size_t>(config.state)].bytes) {
      if (byte >= edge.first && byte <= edge.last) moved.push_back({edge.to, config.stack});
    }
  }
  const SetId next = moved.empty() ? kNone : closed(std::move(moved));
  (*sets_[static_cast<size_t>(id)].next)[byte] = next;
  return next;
}

GrammarMachine::SetId GrammarMachine::after_token(SetId id, TokenId token) {
  std::vector<Config> moved;
  for (const Config& config : sets_[static_cast<size_t>(id)].configs) {
    for (const TokenEdge& edge : grammar_.states[static_cast<size_t>(config.state)].tokens) {
      if (edge.token == token) moved.push_back({edge.to, config.stack});
    }
  }
  if (!moved.empty()) return closed(std::move(moved));
  if (trie_->tokenizer().is_added(token)) return kNone;
  SetId set = id;
  for (const char c : trie_->tokenizer().token_bytes(token)) {
    set = after_byte(set, static_cast<uint8_t>(c));
    if (set == kNone) return kNone;
  }
  return set;
}

// Depth first over the vocabulary: a byte that cannot come ends its whole subtree.
void GrammarMachine::walk(SetId start, std::vector<uint64_t>& mask) {
  std::vector<SetId> path = {start};
  const std::vector<TrieNode>& nodes = trie_->nodes();
  for (size_t i = 0; i < nodes.size();) {
    const TrieNode& node = nodes[i];
    path.resize(size_t{node.depth} + 1);
    const SetId next = after_byte(path.back(), node.byte);
    if (next == kNone) {
      i = static_cast<size_t>(node.end);
      continue;
    }
    path.push_back(next);
    for (int t = 0; t < node.n_tokens; ++t) {
      const auto token = static_cast<size_t>(trie_->tokens()[static_cast<size_t>(node.first_token + t)]);
      mask[token / 64] |= uint64_t{1} << (token % 64);
    }
    ++i;
  }
}

std::span<const uint64_t> GrammarMachine::mask(SetId id) {
  if (sets_[static_cast<size_t>(id)].mask.empty()) {
    std::vector<uint64_t> mask(static_cast<size_t>((trie_->n_tokens() + 63) / 64));
    walk(id, mask);
    Set& set = sets_[static_cast<size_t>(id)];
    const auto allow = [&](TokenId token) { mask[static_cast<size_t>(token) / 64] |= uint64_t{1} << (token % 64); };
    for (const Config& config : set.configs) {
      for (const TokenEdge& edge : grammar_.states[static_cast<size_t>(config.state)].tokens) allow(edge.token);
    }
    if (set.can_end && eos_ >= 0) allow(eos_);
    memory_bytes_ += mask.size() * sizeof(uint64_t);
    set.mask = std::move(mask);
  }
  return sets_[static_cast<size_t>(id)].mask;
}

void GrammarMatcher::apply_mask(std::span<float> logits) {
  const std::span<const uint64_t> mask = machine_->mask(set_);
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  for (size_t w = 0; w < mask.size(); ++w) {
    const size_t first = w * 64, last = std::min(first + 64, logits.size());
    if (mask[w] == ~uint64_t{0}) continue;
    if (mask[w] == 0) {
      std::fill(logits.begin() + static_cast<std::ptrdiff_t>(std::min(first, last)),
                logits.begin() + static_cast<std::ptrdiff_t>(last), kNever);
      continue;
    }
    for (size_t i = first; i < last; ++i) {
      if ((mask[w] >> (i - first) & 1) == 0) logits[i] = kNever;
    }
  }
}

bool GrammarMatcher::accept_bytes(std::string_view bytes) {
  GrammarMachine::SetId next = set_;
  for (const char c : bytes) {
    next = machine_->after_byte(next, static_cast<uint8_t>(c));
    if (next == GrammarMachine::kNone) return false;
  }
  set_ = next;
  return true;
}

bool GrammarMatcher::accept(TokenId token) {
  const GrammarMachine::SetId next = machine_->after_token(set_, token);
  if (next == GrammarMachine::kNone) return false;
  set_ = next;
  return true;
}

}  // namespace hadal::constrain
