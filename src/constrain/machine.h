// Runs a grammar: which tokens may come next, and what they change.
//
// A position in a text is a set of (state, stack of calls to return to); sets and stacks are kept once each, so that
// copying a matcher copies a number. The ways from set to set by byte, and the mask of each set, are found when first
// asked for and kept: the second visit of a place is a lookup.
//
//   GrammarMachine machine(trie, grammar);      one for a grammar, shared by all answers that follow it
//   GrammarMatcher matcher(machine);            one for each answer
//   matcher.apply_mask(logits);  matcher.accept(token);  matcher.can_end();
//
// Not thread-safe: the engine thread runs it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "constrain/grammar.h"
#include "constrain/token_trie.h"

namespace hadal::constrain {

class GrammarMachine {
 public:
  // The end of an answer is EOS, allowed where the grammar can end.
  GrammarMachine(std::shared_ptr<const TokenTrie> trie, Grammar grammar, TokenId eos);

  using SetId = int32_t;
  static constexpr SetId kNone = -1;  // nothing can come here

  SetId start() const { return start_; }
  SetId after_byte(SetId set, uint8_t byte);
  SetId after_token(SetId set, TokenId token);  // kNone when it may not come
  bool can_end(SetId set) const { return sets_[static_cast<size_t>(set)].can_end; }
  // Which tokens may come, one bit each; the last word's unused bits are 0.
  std::span<const uint64_t> mask(SetId set);

  int64_t n_sets() const { return static_cast<int64_t>(sets_.size()); }
  uint64_t memory_bytes() const { return memory_bytes_; }
  // More than this is not kept: what follows would only grow. kNone stands for what has no room any more.
  static constexpr uint64_t kMemoryMax = uint64_t{256} << 20;

 private:
  using StackId = int32_t;  // 0: empty
  struct Config {
    StateId state;
    StackId stack;
    friend auto operator<=>(const Config&, const Config&) = default;
  };
  struct Set {
    std::vector<Config> configs;  // closed, sorted: only states that read something or end
    bool can_end = false;
    std::unique_ptr<std::array<SetId, 256>> next;  // kUnknown where nobody asked
    std::vector<uint64_t> mask;                    // empty: not asked for
  };
  static constexpr SetId kUnknown = -2;

  StackId pushed(StateId back_to, StackId below);
  SetId closed(std::vector<Config> configs);
  SetId intern(std::vector<Config> configs, bool can_end);
  void walk(SetId set, std::vector<uint64_t>& mask);

  std::shared_ptr<const TokenTrie> trie_;
  Grammar grammar_;
  TokenId eos_;
  struct Frame {
    StateId back_to;
    StackId below;
  };
  std::vector<Frame> stacks_;  // [0] is the empty one
  std::map<std::pair<StateId, StackId>, StackId> stack_ids_;
  std::vector<Set> sets_;
  std::map<std::vector<Config>, SetId> set_ids_;
  uint64_t memory_bytes_ = 0;
  SetId start_ = kNone;
};

class GrammarMatcher {
 public:
  explicit GrammarMatcher(std::shared_ptr<GrammarMachine> machine)
      : machine_(std::move(machine)), set_(machine_->start()) {}

  // Sets what may not come to -infinity.
  void apply_mask(std::span<float> logits);
  // False, and nothing changes, when the token may not come. EOS ends it.
  bool accept(TokenId token);
  bool accept_bytes(std::string_view bytes);
  bool can_end() const { return machine_->can_end(set_); }

 private:
  std::shared_ptr<GrammarMachine> machine_;
  GrammarMachine::SetId set_;
};

}  // namespace hadal::constrain
