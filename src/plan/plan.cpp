#include "plan/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/format.h"

namespace hadal {
namespace {

// Touched pages of a worker's stack and its thread-local storage: 20 to 40 KiB were measured.
constexpr uint64_t kThreadBytes = uint64_t{48} << 10;

}  // namespace

Plan make_plan(const PlanInput& in) {
  Plan plan;
  plan.available_bytes = in.available_bytes;
  plan.data_limit_bytes = in.data_limit_bytes;
  plan.address_limit_bytes = in.address_limit_bytes;
  plan.context_tokens = in.context_tokens;
  plan.sequences = in.sequences;
  const auto add = [&plan](std::string what, Tier tier, uint64_t bytes, std::string note = {}) {
    if (bytes == 0) return;
    (tier == Tier::kMapped ? plan.mapped_bytes : tier == Tier::kRam ? plan.ram_bytes : plan.gpu_bytes) += bytes;
    plan.rows.push_back({std::move(what), tier, bytes, std::move(note)});
  };
  const Tier device_tier = in.on_gpu ? Tier::kGpu : Tier::kRam;
  if (in.on_gpu) {
    plan.gpu_available_bytes = in.gpu_available_bytes;
    add("routed experts", Tier::kGpu, in.expert_bytes, "copied as stored");
    add("other weights", Tier::kGpu, in.gpu_weight_bytes - std::min(in.gpu_weight_bytes, in.expert_bytes),
        "copied as stored, norms widened");
  } else {
    add("routed experts", Tier::kMapped, in.expert_bytes, "mapped, used as stored");
    add("n-gram tables", Tier::kMapped, in.engram_table_bytes, "mapped, read a row at a time");
    add("other weights", Tier::kMapped, in.other_weight_bytes, "mapped, used as stored");
  }
  add("norms, tables", Tier::kRam, in.owned_weight_bytes, "widened at load");
  add("tokenizer", Tier::kRam, in.tokenizer_bytes);
  add("tokenizer.json", Tier::kMapped, in.tokenizer_file_bytes, "mapped, read once");
  add("sequence state", device_tier, in.state_bytes * static_cast<uint64_t>(in.sequences),
      fmt::format("{} of {} tokens; grows as it is used",
                  in.sequences == 1 ? "1 sequence" : fmt::format("{} sequences", in.sequences),
                  format_count(static_cast<uint64_t>(in.context_tokens))));
  add("workspace", device_tier, in.workspace_bytes);
  add("threads", Tier::kRam, kThreadBytes * static_cast<uint64_t>(in.n_threads),
      fmt::format("{} threads", in.n_threads));
  add("program", Tier::kRam, in.program_bytes, "code, heap");
  return plan;
}

Result<void> check_plan(const Plan& plan) {
  const auto refused = [&plan](uint64_t need_bytes, uint64_t have_bytes, std::string_view whose) {
    return Error{.code = ErrorCode::kOutOfMemory,
                 .what = "not enough memory",
                 .in = "",
                 .want = fmt::format("{} of RAM (and {} of file cache for the weights)", format_bytes(plan.ram_bytes),
                                     format_bytes(plan.mapped_bytes)),
                 .found = fmt::format("{} {}, {} too little", format_bytes(have_bytes), whose,
                                      format_bytes(need_bytes - have_bytes)),
                 .hint = "choose a shorter --context or a smaller --chunk; `hadal plan` shows what takes how much"};
  };
  if (!plan.fits_on_gpu()) {
    return Error{.code = ErrorCode::kOutOfMemory,
                 .what = "not enough memory on the GPU",
                 .in = "",
                 .want = format_bytes(plan.gpu_bytes),
                 .found = fmt::format("{} free, {} too little", format_bytes(plan.gpu_available_bytes),
                                      format_bytes(plan.gpu_bytes - plan.gpu_available_bytes)),
                 .hint = "choose a shorter --context or a smaller --chunk, or run on the CPU: --device cpu"};
  }
  const auto is_beyond = [](uint64_t need_bytes, uint64_t limit) { return limit > 0 && need_bytes > limit; };
  const uint64_t ram = plan.ram_bytes;
  const uint64_t total = plan.total_bytes();
  if (is_beyond(ram, plan.available_bytes)) return refused(ram, plan.available_bytes, "available");
  if (is_beyond(ram, plan.data_limit_bytes)) return refused(ram, plan.data_limit_bytes, "allowed (ulimit -d)");
  if (is_beyond(total, plan.address_limit_bytes)) {
    return refused(total, plan.address_limit_bytes, "allowed with the weights (ulimit -v)");
  }
  return {};
}

std::string_view tier_name(Tier tier) {
  switch (tier) {
    case Tier::kMapped:
      return "file cache";
    case Tier::kRam:
      return "RAM";
    case Tier::kGpu:
      return "GPU";
  }
  return "unknown";
}

std::string plan_table(const Plan& plan) {
  std::string table = fmt::format("{:<16} {:<11} {:>10}\n", "what", "where", "size");
  for (const PlanRow& row : plan.rows) {
    table += fmt::format("{:<16} {:<11} {:>10}{}{}\n", row.what, tier_name(row.tier), format_bytes(row.bytes),
                         row.note.empty() ? "" : "  ", row.note);
  }
  table += fmt::format("{:<16} {:<11} {:>10}", "total", "", format_bytes(plan.total_bytes()));
  if (plan.available_bytes > 0) table += fmt::format("  of {} available", format_bytes(plan.available_bytes));
  table += "\n";
  if (plan.gpu_bytes > 0) {
    table += fmt::format("{:<16} {:<11} {:>10}  of {} free\n", "total", "GPU", format_bytes(plan.gpu_bytes),
                         format_bytes(plan.gpu_available_bytes));
  }
  if (!plan.fits_in_ram()) {
    table += fmt::format("{} of the weights do not fit into memory and will be read from disk while it runs: slow.\n",
                         format_bytes(plan.total_bytes() - plan.available_bytes));
  }
  return table;
}

json::Value plan_to_json(const Plan& plan) {
  json::Value rows = json::Value::array();
  for (const PlanRow& row : plan.rows) {
    json::Value r = json::Value::object();
    r.set("what", json::Value::string(row.what));
    r.set("where", json::Value::string(row.tier == Tier::kMapped ? "file_cache"
                                       : row.tier == Tier::kRam  ? "ram"
                                                                 : "gpu"));
    r.set("bytes", json::Value::number(static_cast<int64_t>(row.bytes)));
    rows.push(std::move(r));
  }
  json::Value value = json::Value::object();
  value.set("rows", std::move(rows));
  value.set("ram_bytes", json::Value::number(static_cast<int64_t>(plan.ram_bytes)));
  value.set("mapped_bytes", json::Value::number(static_cast<int64_t>(plan.mapped_bytes)));
  if (plan.gpu_bytes > 0) {
    value.set("gpu_bytes", json::Value::number(static_cast<int64_t>(plan.gpu_bytes)));
    value.set("gpu_available_bytes", json::Value::number(static_cast<int64_t>(plan.gpu_available_bytes)));
  }
  value.set("total_bytes", json::Value::number(static_cast<int64_t>(plan.total_bytes())));
  value.set("available_bytes", json::Value::number(static_cast<int64_t>(plan.available_bytes)));
  value.set("fits_in_ram", json::Value::boolean(plan.fits_in_ram()));
  return value;
}

}  // namespace hadal
