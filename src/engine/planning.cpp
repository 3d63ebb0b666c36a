#include "engine/planning.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/format.h"
#include "plan/step_cost.h"

namespace hadal {
namespace {

Result<ContextPlan> plan_context(const LoadedModel& model, EngineOptions options, int64_t context_tokens) {
  options.context_tokens = context_tokens;
  HADAL_ASSIGN(Plan plan, Engine::plan(model, options));
  ContextPlan result{.context_tokens = plan.context_tokens, .plan = std::move(plan)};
  HADAL_ASSIGN(const StateLayout layout,
               StateLayout::create(model.description, model.identity, options.mode,
                                   options.state.value_or(default_state_options(model.description, options.mode))));
  const StepCost cost(model.description, model.weights.weights(), layout);
  result.decode_bytes_per_token =
      cost.bytes({.position = result.context_tokens - 1, .experts_chosen = cost.experts_per_token()});
  return result;
}

// The longest context that fits, by halving: a plan grows with its context. 0 when not even one token does.
Result<int64_t> longest_fitting(const LoadedModel& model, const EngineOptions& options, int64_t too_long) {
  int64_t fits = 0;
  while (too_long - fits > 1) {
    const int64_t middle = fits + (too_long - fits) / 2;
    HADAL_ASSIGN(const ContextPlan plan, plan_context(model, options, middle));
    (plan.plan.fits() ? fits : too_long) = middle;
  }
  return fits;
}

std::string tokens_text(int64_t n) {
  return format_count(static_cast<uint64_t>(n));
}

// What a context's plan amounts to, in one line.
std::string verdict(const ContextPlan& context) {
  const Plan& plan = context.plan;
  const std::string name = fmt::format("context {}", tokens_text(context.context_tokens));
  if (!plan.fits_on_gpu()) {
    return fmt::format("{}: does not fit; {} are missing on the GPU, {} are free there", name,
                       format_bytes(plan.gpu_bytes - plan.gpu_available_bytes), format_bytes(plan.gpu_available_bytes));
  }
  if (plan.available_bytes == 0) return fmt::format("{}: how much memory is available is not known", name);
  if (plan.fits_in_ram()) {
    return fmt::format("{}: fits, {} of {} available stay free", name,
                       format_bytes(plan.available_bytes - plan.total_bytes()), format_bytes(plan.available_bytes));
  }
  const std::string missing = format_bytes(plan.total_bytes() - plan.available_bytes);
  if (plan.ram_bytes <= plan.available_bytes) {
    return fmt::format("{}: {} too little for all weights; they will be read from disk while it runs: slow", name,
                       missing);
  }
  return fmt::format("{}: does not fit; {} are missing, {} of them for memory that must be there", name, missing,
                     format_bytes(plan.ram_bytes - plan.available_bytes));
}

std::string advice(const ContextPlans& plans) {
  if (!plans.context_tokens_fitting) return {};
  if (*plans.context_tokens_fitting > 0) {
    return fmt::format("The longest context that fits is {} tokens: --context {}. A smaller --chunk helps as well.\n",
                       tokens_text(*plans.context_tokens_fitting), *plans.context_tokens_fitting);
  }
  const Plan& plan = plans.contexts.front().plan;
  return fmt::format(
      "No context fits: the weights alone are {}. Close other programs, or use a machine with more memory.\n",
      format_bytes(plan.mapped_bytes));
}

}  // namespace

Result<ContextPlans> plan_contexts(const LoadedModel& model, const EngineOptions& options,
                                   const std::vector<int64_t>& contexts) {
  ContextPlans plans{.contexts = {}, .sequences = options.sequences, .context_tokens_fitting = std::nullopt};
  int64_t shortest_misfit = 0;
  for (const int64_t context_tokens : contexts) {
    HADAL_ASSIGN(ContextPlan plan, plan_context(model, options, context_tokens));
    if (!plan.plan.fits() && (shortest_misfit == 0 || plan.context_tokens < shortest_misfit)) {
      shortest_misfit = plan.context_tokens;
    }
    plans.contexts.push_back(std::move(plan));
  }
  if (shortest_misfit > 0) {
    HADAL_ASSIGN(plans.context_tokens_fitting, longest_fitting(model, options, shortest_misfit));
  }
  return plans;
}

std::string context_plans_table(const ContextPlans& plans, double read_bytes_per_s) {
  const std::vector<ContextPlan>& contexts = plans.contexts;
  if (contexts.empty()) return {};
  std::string table = fmt::format("{:<18} {:<11}", "context", "");
  for (const ContextPlan& c : contexts) table += fmt::format(" {:>12}", tokens_text(c.context_tokens));
  table += "\n";
  const Plan& first = contexts.front().plan;
  for (size_t r = 0; r < first.rows.size(); ++r) {
    const PlanRow& row = first.rows[r];
    table += fmt::format("{:<18} {:<11}", row.what, tier_name(row.tier));
    for (const ContextPlan& c : contexts) table += fmt::format(" {:>12}", format_bytes(c.plan.rows[r].bytes));
    table += row.note.empty() ? "\n" : fmt::format("  {}\n", row.note);
  }
  const auto sum = [&](std::string_view what, std::string_view where, const auto& bytes_of) {
    table += fmt::format("{:<18} {:<11}", what, where);
    for (const ContextPlan& c : contexts) table += fmt::format(" {:>12}", format_bytes(bytes_of(c)));
    table += "\n";
  };
  sum("total", "", [](const ContextPlan& c) { return c.plan.total_bytes(); });
  sum("must be there", "RAM", [](const ContextPlan& c) { return c.plan.ram_bytes; });
  if (contexts.front().plan.gpu_bytes > 0) {
    sum("must be there", "GPU", [](const ContextPlan& c) { return c.plan.gpu_bytes; });
  }
  sum("read per token", "decode", [](const ContextPlan& c) { return c.decode_bytes_per_token; });
  if (read_bytes_per_s > 0) {
    table += fmt::format("{:<18} {:<11}", "tokens/s at best", "decode");
    for (const ContextPlan& c : contexts) {
      table += fmt::format(" {:>12.1f}", read_bytes_per_s / static_cast<double>(c.decode_bytes_per_token));
    }
    table += fmt::format("  one sequence; {:.1f} GB/s were measured\n", read_bytes_per_s / 1e9);
  }
  table += "\n";
  for (const ContextPlan& c : contexts) table += verdict(c) + "\n";
  return table + advice(plans);
}

json::Value context_plans_to_json(const ContextPlans& plans, double read_bytes_per_s) {
  json::Value list = json::Value::array();
  for (const ContextPlan& c : plans.contexts) {
    json::Value plan = plan_to_json(c.plan);
    plan.set("context_tokens", json::Value::number(c.context_tokens));
    plan.set("decode_bytes_per_token", json::Value::number(static_cast<int64_t>(c.decode_bytes_per_token)));
    if (read_bytes_per_s > 0) {
      plan.set("decode_tokens_per_s_max",
               json::Value::number(read_bytes_per_s / static_cast<double>(c.decode_bytes_per_token)));
    }
    list.push(std::move(plan));
  }
  json::Value value = json::Value::object();
  value.set("plans", std::move(list));
  value.set("sequences", json::Value::number(plans.sequences));
  if (read_bytes_per_s > 0) value.set("read_gbps", json::Value::number(read_bytes_per_s / 1e9));
  if (plans.context_tokens_fitting) {
    value.set("context_tokens_fitting", json::Value::number(*plans.context_tokens_fitting));
  }
  return value;
}

}  // namespace hadal
