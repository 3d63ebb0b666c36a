// hadal pull NAME: fetch a model from a hub, resumable and verified.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <ctime>
#include <memory>

#include "base/format.h"
#include "clock.h"
#include "commands.h"
#include "hub_options.h"
#include "model_place.h"
#include "pulled_text.h"
#include "terminal/interrupt.h"
#include "terminal/live_progress.h"
#include "terminal/output.h"

namespace hadal::cli {
namespace {

constexpr int kExitInterrupted = 130;

struct Options {
  std::string name;
  std::string gguf;
  bool dry_run = false;
  bool json = false;
  HubOptions hub;
};

std::string sizes(const hub::PullPlan& plan) {
  const size_t n = plan.model.files.size();
  std::string text = fmt::format("{} in {} {}", format_bytes(plan.model.bytes()), n, n == 1 ? "file" : "files");
  if (plan.missing_bytes < plan.model.bytes()) {
    text += fmt::format(", {} of it here", format_bytes(plan.model.bytes() - plan.missing_bytes));
  }
  return text;
}

std::string title(const hub::PulledModel& model) {
  return fmt::format("{} at {} ({})", model.name.text(), short_commit(model.commit), model.name.revision);
}

// What it ends with; `fetched` are the bytes of this run.
void print_result(const Options& options, const hub::PulledModel& model, uint64_t fetched) {
  if (options.json) {
    json::Value value = to_json(model);
    value.set("fetched_bytes", json::Value::number(static_cast<int64_t>(fetched)));
    fmt::print("{}\n", json::dump_pretty(value));
    return;
  }
  fmt::print("{}: {} in {}\n", title(model), format_bytes(model.bytes()), model.folder.string());
}

Result<int> carry_out(const Options& options, const hub::PullRequest& request, const hub::PullPlan& plan) {
  const TerminalFacts terminal = inspect_terminal(STDERR_FILENO);
  if (terminal.is_terminal) write_notice(fmt::format("{}: {}\n", title(plan.model), sizes(plan)));
  std::atomic<uint64_t> fetched = 0;
  Result<hub::PulledModel> pulled = [&] {
    const LiveProgress progress({.label = "pulling", .total = plan.missing_bytes}, terminal, now_s,
                                [&fetched] { return fetched.load(); });
    return hub::carry_out(request, plan, fetched);
  }();
  if (!pulled.ok() && pulled.error().code == ErrorCode::kCancelled) {
    const uint64_t missing = hub::missing_bytes(plan.model.folder, plan.model.files, request.fetch.block_bytes);
    write_notice(fmt::format("Stopped with {} of {} here; the same command goes on from there.\n",
                             format_bytes(plan.model.bytes() - missing), format_bytes(plan.model.bytes())));
    return kExitInterrupted;
  }
  HADAL_ASSIGN(const hub::PulledModel model, std::move(pulled));
  print_result(options, model, fetched);
  return 0;
}

Result<int> pull(const Options& options) {
  hub::PullRequest request;
  HADAL_ASSIGN(request.name, hub::parse_model_name(options.name));
  HADAL_ASSIGN(request.models, models_folder());
  HADAL_TRY(options.hub.apply(request));
  request.gguf = options.gguf;
  request.now_unix_s = std::time(nullptr);
  // OpenSSL writes to sockets that the other side may have closed, and libcurl leaves the signal to programs with
  // threads of their own.
  std::signal(SIGPIPE, SIG_IGN);
  const Interrupts interrupts(StopSignals::kAllThatEnd);
  request.fetch.http.is_cancelled = [&interrupts] { return interrupts.is_stop_requested(); };
  std::optional<hub::ModelLock> lock;
  if (!options.dry_run) {
    HADAL_ASSIGN(lock, hub::ModelLock::take(request.models, request.name));
  }
  Result<hub::PullPlan> planned = hub::plan_pull(request);
  if (!planned.ok() && planned.error().code == ErrorCode::kCancelled) return kExitInterrupted;
  HADAL_ASSIGN(hub::PullPlan plan, std::move(planned));
  if (options.dry_run) {
    if (options.json) {
      print_result(options, plan.model, 0);
    } else {
      fmt::print("{}: {}\n", title(plan.model), sizes(plan));
    }
    return 0;
  }
  if (plan.is_here) {
    plan.model.is_complete = true;
    HADAL_TRY(hub::write_manifest(plan.model));  // the date, and the revision that was asked for this time
    print_result(options, plan.model, 0);
    return 0;
  }
  return carry_out(options, request, plan);
}

}  // namespace

void add_pull_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("pull", "Fetch a model from a Hugging Face-compatible hub");
  command
      ->add_option("name", options->name,
                   "OWNER/NAME of the model; OWNER/NAME@REVISION for another branch than main, a tag or a commit")
      ->type_name("NAME")
      ->required();
  command
      ->add_option("--gguf", options->gguf,
                   "Fetch the GGUF files whose names fit the pattern (* ? [a-z], in any case), not the safetensors")
      ->type_name("PATTERN");
  command->add_flag("--dry-run", options->dry_run, "Say what would be fetched; change nothing");
  command->add_flag("--json", options->json, "One JSON object when it is done");
  options->hub.add_to(*command);
  command->footer(
      "What was fetched stays when it is stopped or fails; the same command goes on from there. Each file is held "
      "against the hub's checksum before it gets its name. Models lie in HADAL_MODELS, or in hadal/models below "
      "XDG_DATA_HOME (~/.local/share). https_proxy is honoured.\n"
      "\n"
      "Examples:\n"
      "  hadal pull deepseek-ai/DeepSeek-V4-Flash --dry-run\n"
      "  hadal pull deepseek-ai/DeepSeek-V4-Flash\n"
      "  hadal run deepseek-ai/DeepSeek-V4-Flash\n"
      "  hadal pull someone/DeepSeek-V4-Flash-GGUF --gguf '*Q4_K_M*'");
  command->callback([options, &action] { action = [options] { return pull(*options); }; });
}

}  // namespace hadal::cli
