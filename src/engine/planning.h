// What `hadal plan` says: a plan for each context that is asked for, how fast decode could be at best, and what to
// change when it does not fit. Nothing is allocated.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "engine/engine.h"

namespace hadal {

struct ContextPlan {
  int64_t context_tokens = 0;
  Plan plan;
  // Bytes that decoding one token must read with the whole context there (plan/step_cost.h).
  uint64_t decode_bytes_per_token = 0;
};

struct ContextPlans {
  std::vector<ContextPlan> contexts;
  int64_t sequences = 1;
  // The longest context whose plan fits into memory together with the weights; 0: none does. Nothing: all that were
  // asked for fit.
  std::optional<int64_t> context_tokens_fitting;
};

// One plan per context (0: the default one), in the order given. Errors of Engine::plan.
Result<ContextPlans> plan_contexts(const LoadedModel& model, const EngineOptions& options,
                                   const std::vector<int64_t>& contexts);

// The table, one column per context, with a verdict below. read_bytes_per_s: measured on this machine, 0: not measured.
std::string context_plans_table(const ContextPlans& plans, double read_bytes_per_s);

// {"plans": [one object per context], "read_gbps", ...}
json::Value context_plans_to_json(const ContextPlans& plans, double read_bytes_per_s);

}  // namespace hadal
