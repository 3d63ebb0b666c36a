// hadal inspect [FILE|FOLDER]: what a checkpoint, a saved state or a saved conversation holds, without loading it.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/format.h"
#include "commands.h"
#include "embedded_model.h"
#include "engine/model_text.h"
#include "inspect_saved.h"
#include "model/inspect.h"
#include "model_place.h"
#include "progress_line.h"
#include "terminal/interrupt.h"

namespace hadal::cli {
namespace {

constexpr int kExitInterrupted = 130;

struct Options {
  std::string path;  // empty: the embedded model
  bool tensors = false;
  bool metadata = false;
  bool verify = false;
  bool json = false;
};

bool is_checkpoint_file(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json") || name.ends_with(".gguf");
}

void print_row(std::string_view label, const std::string& text) {
  fmt::print("  {:<12}{}\n", label, text);
}

// "61 (61 MLA; 3 dense), 1 draft": the kinds that there are.
std::string layer_kinds(const ModelDescription& d) {
  constexpr std::pair<AttentionKind, std::string_view> kKinds[] = {{AttentionKind::kWindow, "window"},
                                                                   {AttentionKind::kCsa, "CSA"},
                                                                   {AttentionKind::kHca, "HCA"},
                                                                   {AttentionKind::kMla, "MLA"},
                                                                   {AttentionKind::kDsa, "DSA"}};
  const auto count = [&](const auto& is_so) { return std::count_if(d.layers.begin(), d.layers.end(), is_so); };
  std::vector<std::string> kinds;
  for (const auto& [kind, name] : kKinds) {
    const auto n = count([wanted = kind](const LayerDescription& layer) { return layer.attention == wanted; });
    if (n > 0) kinds.push_back(fmt::format("{} {}", n, name));
  }
  std::string text = fmt::format("{} ({}", d.layers.size(), fmt::join(kinds, ", "));
  const auto n_dense = count([](const LayerDescription& layer) { return layer.ffn == FfnKind::kDense; });
  const auto n_hash = count([](const LayerDescription& layer) { return layer.router == RouterKind::kHash; });
  if (n_dense > 0) text += fmt::format("; {} dense", n_dense);
  if (n_hash > 0) text += fmt::format("; {} routed by token", n_hash);
  return text + fmt::format("), {} draft", d.mtp_layers.size());
}

std::string attention_sizes(const ModelDescription& d) {
  if (d.has_mla()) {
    return fmt::format("{} heads x {} ({} rotary), values {}, query rank {}, latent {}", d.n_heads, d.qk_head_dim(),
                       d.rope_head_dim, d.v_head_dim, d.q_lora_rank, d.kv_lora_rank);
  }
  return fmt::format("{} heads x {} ({} rotary), query rank {}, output {} groups x {}, window {}", d.n_heads,
                     d.head_dim, d.rope_head_dim, d.q_lora_rank, d.o_groups, d.o_lora_rank, d.window);
}

std::string engram_sizes(const ModelDescription& d) {
  std::vector<std::string> tables;
  for (size_t l = 0; l < d.layers.size(); ++l) {
    if (d.layers[l].engram_rows == 0) continue;
    tables.push_back(fmt::format("layer {}: {}", l, format_count(static_cast<uint64_t>(d.layers[l].engram_rows))));
  }
  return fmt::format("2 to {} tokens of {} classes, {} rows of {} each; rows of {}", d.engram_max_ngram,
                     format_count(static_cast<uint64_t>(d.engram_n_classes)), d.engram_n_heads, d.engram_head_dim,
                     fmt::join(tables, ", "));
}

// How it is spoken to. What is wrong with the files that say so is a finding like any other.
std::string find_prompt(ModelFiles& files, const GgufFile* gguf, InspectReport& report) {
  if (!report.description) return "";
  Result<std::optional<Tokenizer>> tokenizer = read_tokenizer(files, gguf, *report.description);
  if (!tokenizer.ok()) {
    report.problems.push_back(std::move(tokenizer).error());
    return "";
  }
  const Tokenizer* known = *tokenizer ? &**tokenizer : nullptr;
  Result<PromptEncoding> encoding = find_prompt_encoding(files, gguf, *report.description, known);
  if (encoding.ok()) return std::string(prompt_encoding_name(*encoding));
  report.problems.push_back(std::move(encoding).error());
  return "";
}

void print_description(const InspectReport& report, std::string_view prompt) {
  const ModelDescription& d = *report.description;
  fmt::print("{}: {}\n", report.place, d.family);
  print_row("layers", layer_kinds(d));
  print_row("hidden",
            fmt::format("{} in {} {}, vocabulary {}", d.hidden, d.hc_mult, d.hc_mult == 1 ? "stream" : "streams",
                        format_count(static_cast<uint64_t>(d.vocab_size))));
  print_row("attention", attention_sizes(d));
  if (d.index_topk > 0) {
    print_row("indexer", fmt::format("{} heads x {}, best {}", d.index_n_heads, d.index_head_dim, d.index_topk));
  }
  if (d.inter_dim > 0) print_row("dense", fmt::format("width {}", d.inter_dim));
  if (d.n_routed_experts > 0) {
    print_row("experts", fmt::format("{} of {} and {} shared, width {}", d.n_experts_per_token, d.n_routed_experts,
                                     d.n_shared_experts, d.moe_inter_dim));
  }
  if (d.engram_max_ngram > 0) print_row("n-grams", engram_sizes(d));
  print_row("context", format_count(static_cast<uint64_t>(d.context_tokens_max)));
  if (!prompt.empty()) print_row("prompt", std::string(prompt));
  print_row("identity", report.identity);
}

void print_weights(const InspectReport& report) {
  fmt::print("\n{} in {} tensors, {} {}; {}\n", format_bytes(report.tensor_bytes), format_count(report.n_tensors),
             report.shards.size(), report.shards.size() == 1 ? "shard" : "shards",
             report.has_draft ? "with draft layer" : "no draft layer in use");
  for (const TensorGroup& group : report.groups) {
    fmt::print("  {:<20}{:<10}{:>10}{:>14}\n", group.part, dtype_name(group.dtype), format_count(group.n_tensors),
               format_bytes(group.bytes));
  }
  fmt::print("\n");
  for (const ShardSummary& shard : report.shards) {
    fmt::print("  {:<40}{:>10}{:>14}\n", shard.name, format_count(shard.n_tensors), format_bytes(shard.tensor_bytes));
  }
}

void print_tensors(const Checkpoint& checkpoint) {
  fmt::print("\n");
  for (const StoredTensor& tensor : checkpoint.tensors()) {
    fmt::print("  {:<9}{:<20}{:>11}  {}, byte {}: {}\n", dtype_name(tensor.dtype), format_shape(tensor.shape),
               format_bytes(tensor.bytes.size()), tensor.file, tensor.file_offset, json::excerpt(tensor.name));
  }
}

void print_metadata(const Checkpoint& checkpoint) {
  if (checkpoint.gguf() == nullptr) return;
  const GgufFile& file = *checkpoint.gguf();
  fmt::print("\nGGUF version {}, aligned to {} bytes\n", file.version, file.alignment);
  for (const auto& [key, value] : file.metadata) fmt::print("  {:<46}{}\n", json::excerpt(key), value.shown());
}

void print_verified(const VerifyReport& report) {
  fmt::print("\n{} read: ", format_bytes(report.read_bytes));
  if (report.n_bad_tensors == 0) {
    fmt::print("all numbers are numbers\n");
    return;
  }
  fmt::print("{} tensors hold NaN or infinity\n", format_count(report.n_bad_tensors));
  for (const BadNumbers& bad : report.bad) {
    fmt::print("  {}: {}, the first is element {}\n", bad.place, format_count(bad.n), bad.first);
  }
}

Result<VerifyReport> verify(const Checkpoint& checkpoint) {
  const Interrupts interrupts;
  ProgressLine line("reading", checkpoint.tensor_bytes());
  return verify_numbers(checkpoint, [&](uint64_t done, uint64_t) {
    line.update(done);
    return !interrupts.is_stop_requested();
  });
}

void print_json(const InspectReport& report, std::string_view prompt, const std::optional<Checkpoint>& checkpoint,
                const Options& options, const std::optional<VerifyReport>& verified) {
  json::Value out = inspect_to_json(report);
  out.set("prompt_encoding", prompt.empty() ? json::Value() : json::Value::string(prompt));
  if (options.metadata && checkpoint) out.set("metadata", metadata_to_json(*checkpoint));
  if (options.tensors && checkpoint) out.set("tensors", tensors_to_json(*checkpoint));
  if (verified) out.set("verify", verify_to_json(*verified));
  fmt::print("{}\n", json::dump_pretty(out));
}

void print_text(const InspectReport& report, std::string_view prompt, const std::optional<Checkpoint>& checkpoint,
                const Options& options, const std::optional<VerifyReport>& verified) {
  if (report.description) {
    print_description(report, prompt);
  } else {
    fmt::print("{}\n", report.place);
  }
  if (report.has_weights) print_weights(report);
  if (options.metadata && checkpoint) print_metadata(*checkpoint);
  if (options.tensors && checkpoint) print_tensors(*checkpoint);
  if (verified) print_verified(*verified);
}

Result<int> inspect(const Options& options) {
  HADAL_ASSIGN(const fs::path path, find_model_path(options.path));
  std::error_code ignored;
  if (!options.path.empty() && fs::is_regular_file(path, ignored) && !is_checkpoint_file(path)) {
    return inspect_saved(path, options.json);
  }
  HADAL_ASSIGN(ModelFiles files, options.path.empty() ? Result<ModelFiles>(embedded_model()) : ModelFiles::open(path));
  std::optional<Checkpoint> checkpoint;
  InspectReport report = inspect_model(files, checkpoint);
  const std::string prompt = find_prompt(files, checkpoint ? checkpoint->gguf() : nullptr, report);
  std::optional<VerifyReport> verified;
  if (options.verify && checkpoint) {
    Result<VerifyReport> result = verify(*checkpoint);
    if (!result.ok() && result.error().code == ErrorCode::kCancelled) return kExitInterrupted;
    HADAL_ASSIGN(verified, std::move(result));
  }
  (options.json ? print_json : print_text)(report, prompt, checkpoint, options, verified);
  if (!options.json) std::fflush(stdout);
  for (const Error& problem : report.problems) fmt::print(stderr, "{}\n", problem.to_string());
  const bool is_sound = report.problems.empty() && (!verified || verified->n_bad_tensors == 0);
  return is_sound ? 0 : 1;
}

}  // namespace

void add_inspect_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("inspect", "Tell what a checkpoint or saved conversation holds");
  command
      ->add_option("path", options->path,
                   "Model folder, name of a pulled model, .safetensors file or index, .gguf file, or a file that /save "
                   "wrote; without it the "
                   "embedded model")
      ->type_name("PATH");
  command->add_flag("--tensors", options->tensors, "List every tensor with its place");
  command->add_flag("--metadata", options->metadata,
                    "Show what a GGUF file says of itself; long lists by their length");
  command->add_flag("--verify", options->verify, "Read every number and look for NaN and infinity");
  command->add_flag("--json", options->json, "One JSON object with exact numbers");
  command->footer(
      "Exit code 1 when something is wrong with the files; what is right is shown all the same.\n"
      "\n"
      "Examples:\n"
      "  hadal inspect ./DeepSeek-V4-Flash\n"
      "  hadal inspect ./DeepSeek-V4-Flash --verify\n"
      "  hadal inspect model.safetensors --tensors --json\n"
      "  hadal inspect model-Q4_K_M.gguf --metadata\n"
      "  hadal inspect ~/.local/state/hadal/conversations/trip.state");
  command->callback([options, &action] { action = [options] { return inspect(*options); }; });
}

}  // namespace hadal::cli
