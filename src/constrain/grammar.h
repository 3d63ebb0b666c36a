// A grammar over bytes and added tokens: automata that may call each other, so that nesting has no limit.
//
// Built from fragments, each with a start and an end state; a rule is a fragment with a name that others call. What is
// built is read by GrammarMachine (machine.h).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tokenizer/tokenizer.h"

namespace hadal::constrain {

inline constexpr size_t kStatesMax = 200'000;
inline constexpr size_t kRulesMax = 20'000;

using StateId = int32_t;
using RuleId = int32_t;

struct ByteEdge {
  uint8_t first, last;  // inclusive
  StateId to;
};
struct TokenEdge {
  TokenId token;
  StateId to;
};
struct CallEdge {
  RuleId rule;
  StateId to;  // where to go on when the rule has ended
};

struct State {
  std::vector<ByteEdge> bytes;
  std::vector<TokenEdge> tokens;
  std::vector<CallEdge> calls;
  std::vector<StateId> skips;  // without reading anything
  bool is_end = false;         // of its rule
};

struct Grammar {
  std::vector<State> states;
  std::vector<StateId> rules;  // where each begins
  RuleId root = 0;
};

struct Fragment {
  StateId start = 0, end = 0;
};

class GrammarBuilder {
 public:
  Fragment nothing();
  Fragment byte(uint8_t first, uint8_t last);
  Fragment literal(std::string_view bytes);
  Fragment token(TokenId id);
  Fragment call(RuleId rule);
  Fragment sequence(std::span<const Fragment> parts);
  Fragment sequence(std::initializer_list<Fragment> parts) { return sequence(std::span(parts.begin(), parts.size())); }
  Fragment choice(std::span<const Fragment> options);
  Fragment choice(std::initializer_list<Fragment> options) {
    return choice(std::span(options.begin(), options.size()));
  }
  Fragment optional(Fragment part);
  Fragment star(Fragment part);
  // `make` is called for each copy. max < 0: without end.
  Fragment repeat(const std::function<Fragment()>& make, int64_t min, int64_t max);
  // Any ordinary bytes.
  Fragment any_bytes();

  RuleId new_rule();
  void define(RuleId rule, Fragment body);

  StateId new_state();
  void skip(StateId from, StateId to) { state(from).skips.push_back(to); }
  void edge(StateId from, uint8_t first, uint8_t last, StateId to) { state(from).bytes.push_back({first, last, to}); }

  // Errors: Limit (states, rules); Invalid: a rule that begins with itself, which could call for ever.
  Result<Grammar> finish(RuleId root);
  bool is_full() const { return grammar_.states.size() > kStatesMax || grammar_.rules.size() > kRulesMax; }

 private:
  State& state(StateId id) { return grammar_.states[static_cast<size_t>(id)]; }
  Grammar grammar_;
};

}  // namespace hadal::constrain
