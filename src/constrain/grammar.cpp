#include "constrain/grammar.h"

#include <fmt/format.h>

#include "base/check.h"

namespace hadal::constrain {
namespace {

Error too_large(std::string_view what, size_t most) {
  return {.code = ErrorCode::kLimit,
          .what = "the grammar is too large",
          .in = "",
          .want = fmt::format("at most {} {}", most, what),
          .found = "more",
          .hint = "smaller counts, fewer alternatives"};
}

// Which states are reached from each without reading, and whether a rule can end so: found together, because a call of
// a rule that can be empty is passed without reading as well.
class EmptyPaths {
 public:
  explicit EmptyPaths(const Grammar& grammar) : grammar_(grammar), is_nullable_(grammar.rules.size(), false) {
    for (bool changes = true; changes;) {
      changes = false;
      for (size_t r = 0; r < grammar.rules.size(); ++r) {
        if (is_nullable_[r] || !reaches_end(grammar.rules[r])) continue;
        is_nullable_[r] = true;
        changes = true;
      }
    }
  }

  // The rules that a rule may call before it has read anything.
  std::vector<RuleId> first_calls(RuleId rule) const {
    std::vector<RuleId> calls;
    visit(grammar_.rules[static_cast<size_t>(rule)], [&](const State& state) {
      for (const CallEdge& call : state.calls) calls.push_back(call.rule);
      return false;
    });
    return calls;
  }

 private:
  template <class See>
  void visit(StateId from, const See& see) const {
    std::vector<bool> seen(grammar_.states.size(), false);
    std::vector<StateId> open = {from};
    seen[static_cast<size_t>(from)] = true;
    const auto push = [&](StateId id) {
      if (seen[static_cast<size_t>(id)]) return;
      seen[static_cast<size_t>(id)] = true;
      open.push_back(id);
    };
    while (!open.empty()) {
      const State& state = grammar_.states[static_cast<size_t>(open.back())];
      open.pop_back();
      if (see(state)) return;
      for (const StateId to : state.skips) push(to);
      for (const CallEdge& call : state.calls) {
        if (is_nullable_[static_cast<size_t>(call.rule)]) push(call.to);
      }
    }
  }
  bool reaches_end(StateId from) const {
    bool ends = false;
    visit(from, [&](const State& state) { return ends = ends || state.is_end; });
    return ends;
  }

  const Grammar& grammar_;
  std::vector<bool> is_nullable_;
};

// Depth first over "may call first": a way back to an open rule is left recursion.
bool has_left_recursion(const Grammar& grammar) {
  const EmptyPaths paths(grammar);
  enum class Mark : uint8_t { kNew, kOpen, kDone };
  std::vector<Mark> marks(grammar.rules.size(), Mark::kNew);
  struct Visit {
    RuleId rule;
    std::vector<RuleId> calls;
    size_t next = 0;
  };
  for (size_t r = 0; r < grammar.rules.size(); ++r) {
    if (marks[r] != Mark::kNew) continue;
    std::vector<Visit> open;
    const auto enter = [&](RuleId rule) {
      marks[static_cast<size_t>(rule)] = Mark::kOpen;
      open.push_back({rule, paths.first_calls(rule)});
    };
    enter(static_cast<RuleId>(r));
    while (!open.empty()) {
      Visit& top = open.back();
      if (top.next == top.calls.size()) {
        marks[static_cast<size_t>(top.rule)] = Mark::kDone;
        open.pop_back();
        continue;
      }
      const RuleId next = top.calls[top.next++];
      if (marks[static_cast<size_t>(next)] == Mark::kOpen) return true;
      if (marks[static_cast<size_t>(next)] == Mark::kNew) enter(next);
    }
  }
  return false;
}

}  // namespace

StateId GrammarBuilder::new_state() {
  // Past the limit nothing grows: finish() will say so.
  if (grammar_.states.size() <= kStatesMax) grammar_.states.emplace_back();
  return static_cast<StateId>(grammar_.states.size()) - 1;
}

Fragment GrammarBuilder::nothing() {
  const StateId state = new_state();
  return {state, state};
}

Fragment GrammarBuilder::byte(uint8_t first, uint8_t last) {
  const Fragment fragment{new_state(), new_state()};
  edge(fragment.start, first, last, fragment.end);
  return fragment;
}

Fragment GrammarBuilder::literal(std::string_view bytes) {
  Fragment fragment = nothing();
  for (const char c : bytes) {
    const StateId next = new_state();
    edge(fragment.end, static_cast<uint8_t>(c), static_cast<uint8_t>(c), next);
    fragment.end = next;
  }
  return fragment;
}

Fragment GrammarBuilder::token(TokenId id) {
  const Fragment fragment{new_state(), new_state()};
  state(fragment.start).tokens.push_back({id, fragment.end});
  return fragment;
}

Fragment GrammarBuilder::call(RuleId rule) {
  const Fragment fragment{new_state(), new_state()};
  state(fragment.start).calls.push_back({rule, fragment.end});
  return fragment;
}

Fragment GrammarBuilder::sequence(std::span<const Fragment> parts) {
  if (parts.empty()) return nothing();
  for (size_t i = 1; i < parts.size(); ++i) skip(parts[i - 1].end, parts[i].start);
  return {parts.front().start, parts.back().end};
}

Fragment GrammarBuilder::choice(std::span<const Fragment> options) {
  const Fragment fragment{new_state(), new_state()};
  for (const Fragment& option : options) {
    skip(fragment.start, option.start);
    skip(option.end, fragment.end);
  }
  return fragment;
}

Fragment GrammarBuilder::optional(Fragment part) {
  return choice({part, nothing()});
}

Fragment GrammarBuilder::star(Fragment part) {
  const StateId hub = new_state();
  skip(hub, part.start);
  skip(part.end, hub);
  return {hub, hub};
}

Fragment GrammarBuilder::repeat(const std::function<Fragment()>& make, int64_t min, int64_t max) {
  std::vector<Fragment> parts = {nothing()};
  for (int64_t i = 0; i < min && !is_full(); ++i) parts.push_back(make());
  if (max < 0) {
    parts.push_back(star(make()));
    return sequence(parts);
  }
  const StateId end = new_state();
  for (int64_t i = min; i < max && !is_full(); ++i) {
    skip(parts.back().end, end);
    parts.push_back(make());
  }
  const Fragment all = sequence(parts);
  skip(all.end, end);
  return {all.start, end};
}

Fragment GrammarBuilder::any_bytes() {
  const StateId hub = new_state();
  edge(hub, 0, 255, hub);
  return {hub, hub};
}

RuleId GrammarBuilder::new_rule() {
  grammar_.rules.push_back(-1);
  return static_cast<RuleId>(grammar_.rules.size()) - 1;
}

void GrammarBuilder::define(RuleId rule, Fragment body) {
  // An end of its own: the fragment's may have ways on, and calls return only where the rule ends.
  const StateId end = new_state();
  skip(body.end, end);
  state(end).is_end = true;
  grammar_.rules[static_cast<size_t>(rule)] = body.start;
}

Result<Grammar> GrammarBuilder::finish(RuleId root) {
  if (grammar_.states.size() > kStatesMax) return too_large("states", kStatesMax);
  if (grammar_.rules.size() > kRulesMax) return too_large("rules", kRulesMax);
  for (const StateId start : grammar_.rules) HADAL_CHECK(start >= 0, "a rule without a body");
  grammar_.root = root;
  if (has_left_recursion(grammar_)) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "a rule calls itself before it has read anything",
                 .in = "",
                 .want = "at least a character in front of each recursion",
                 .found = "left recursion",
                 .hint = ""};
  }
  return std::move(grammar_);
}

}  // namespace hadal::constrain
