// hadal convert IN OUT --type TYPE: a model from one format into another, tensor by tensor.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <optional>

#include "base/format.h"
#include "commands.h"
#include "embedded_model.h"
#include "engine/evaluation.h"
#include "engine/importance_collector.h"
#include "engine/loaded_model.h"
#include "engine/model_text.h"
#include "formats/gguf/gguf_shards.h"
#include "model/convert/convert.h"
#include "model/gguf/gguf_config.h"
#include "model/gguf/gguf_tokenizer.h"
#include "model_place.h"
#include "progress_line.h"
#include "terminal/interrupt.h"

namespace hadal::cli {
namespace {

constexpr int kExitInterrupted = 130;
constexpr uint64_t kConfigBytesMax = uint64_t{16} << 20;
constexpr uint64_t kTokenizerBytesMax = uint64_t{256} << 20;
constexpr uint64_t kTextBytesMax = uint64_t{1} << 30;
constexpr std::string_view kEmbedded = "embedded";

struct Options {
  std::string in;
  std::string out;
  std::string type;     // empty: q8_0 for GGUF, bf16 for safetensors
  std::string imatrix;  // file that is read, or written when a text is collected from
  std::string collect;  // text
  bool json = false;
};

std::vector<std::string> type_names() {
  std::vector<std::string> names;
  for (const TypeMix& mix : type_mixes()) names.emplace_back(mix.name);
  return names;
}

Result<ModelFiles> open_files(const Options& options) {
  if (options.in == kEmbedded) return embedded_model();
  HADAL_ASSIGN(const fs::path path, find_model_path(options.in));
  return ModelFiles::open(path);
}

// config.json without how the weights of the source are stored.
Result<json::Value> read_config(const LoadedModel& model, ModelFiles& files) {
  if (const GgufFile* gguf = model.checkpoint.gguf())
    return config_of_gguf(*gguf, model.checkpoint.tensors(), files.place());
  HADAL_ASSIGN(const std::string_view text, files.text("config.json", kConfigBytesMax));
  HADAL_ASSIGN(const json::Value config, json::parse(text, "config.json"));
  json::Value out = json::Value::object();
  for (const auto& [key, value] : config.members()) {
    if (key != "quantization_config" && key != "expert_dtype") out.set(key, value);
  }
  return out;
}

Result<std::optional<json::Value>> read_tokenizer(const LoadedModel& model, ModelFiles& files) {
  if (const GgufFile* gguf = model.checkpoint.gguf()) return tokenizer_json_of_gguf(*gguf, files.place());
  if (!files.has("tokenizer.json")) return std::optional<json::Value>();
  HADAL_ASSIGN(const std::string_view text, files.text("tokenizer.json", kTokenizerBytesMax));
  HADAL_ASSIGN(json::Value value, json::parse(text, "tokenizer.json"));
  return std::optional<json::Value>(std::move(value));
}

std::string name_of(const Options& options) {
  const fs::path path = fs::path(options.in).lexically_normal();
  const std::string name = (path.has_filename() ? path : path.parent_path()).stem().string();
  return name.empty() ? "model" : name;
}

void print_summary(const Options& options, const ConvertSummary& summary, double seconds) {
  if (options.json) {
    json::Value out = json::Value::object();
    out.set("out", json::Value::string(options.out));
    out.set("type", json::Value::string(options.type));
    out.set("n_tensors", json::Value::number(static_cast<int64_t>(summary.n_tensors)));
    out.set("tensor_bytes", json::Value::number(static_cast<int64_t>(summary.tensor_bytes)));
    out.set("has_dropped_draft", json::Value::boolean(summary.has_dropped_draft));
    out.set("n_weighed", json::Value::number(static_cast<int64_t>(summary.n_weighed)));
    out.set("seconds", json::Value::number(seconds));
    fmt::print("{}\n", json::dump_pretty(out));
    return;
  }
  fmt::print("{}: {} in {} tensors ({}), written in {}\n", options.out, format_bytes(summary.tensor_bytes),
             format_count(summary.n_tensors), options.type, format_seconds(seconds));
  if (summary.n_weighed > 0)
    fmt::print("The errors of {} tensors were weighed by importance.\n", format_count(summary.n_weighed));
  if (summary.has_dropped_draft)
    fmt::print("The draft layer was left out: GGUF has no place for all of its tensors.\n");
}

Result<ConvertSummary> write(const Options& options, const ConvertSource& source, bool is_gguf) {
  const Interrupts interrupts(StopSignals::kAllThatEnd);
  std::optional<ProgressLine> line;  // the total comes with the first report
  const ConvertProgress progress = [&](uint64_t done, uint64_t of) {
    if (!line) line.emplace("converting", of);
    line->update(done);
    return !interrupts.is_stop_requested();
  };
  if (is_gguf) return write_gguf(source, *find_type_mix(options.type), options.out, progress);
  const DType matrices = options.type == "f32" ? DType::kF32 : options.type == "f16" ? DType::kF16 : DType::kBF16;
  return write_safetensors(source, matrices, options.out, progress);
}

// Runs the text through the model and keeps what every matrix met.
Result<ImportanceMatrix> collect_importance(const std::shared_ptr<const LoadedModel>& model, const Options& options) {
  HADAL_ASSIGN(const std::string text, read_file(options.collect, kTextBytesMax));
  const std::vector<std::string_view> documents = split_documents(text, 0);
  if (documents.empty()) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "there is nothing to collect from",
                 .in = options.collect,
                 .want = "text as the model will meet it, its documents separated by NUL bytes",
                 .found = "an empty file",
                 .hint = ""};
  }
  ImportanceCollector collector;
  HADAL_ASSIGN(Engine engine, Engine::create(model, {.inputs = &collector}));
  std::optional<ProgressLine> line;
  const auto progress = [&](int64_t done, int64_t of) {
    if (!line) line.emplace("collecting", static_cast<uint64_t>(of), ProgressOptions::Unit::kTokens);
    line->update(static_cast<uint64_t>(done));
  };
  HADAL_ASSIGN(const Evaluation evaluation, evaluate(engine, nullptr, documents, progress));
  ImportanceMatrix matrix = collector.matrix(model->description, model->weights.weights());
  matrix.chunk_tokens = engine.options().context_tokens;
  matrix.n_chunks = evaluation.tokens() / matrix.chunk_tokens + 1;
  if (!options.imatrix.empty()) HADAL_TRY(write_importance(matrix, options.imatrix));
  return matrix;
}

Result<std::optional<ImportanceMatrix>> importance_of(const std::shared_ptr<const LoadedModel>& model,
                                                      const Options& options) {
  if (options.collect.empty() && options.imatrix.empty()) return std::optional<ImportanceMatrix>();
  HADAL_ASSIGN(ImportanceMatrix matrix,
               options.collect.empty() ? read_importance(options.imatrix) : collect_importance(model, options));
  return std::optional<ImportanceMatrix>(std::move(matrix));
}

Result<void> check_usage(const Options& options, bool is_gguf) {
  if (!is_gguf && options.type != "bf16" && options.type != "f16" && options.type != "f32") {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "safetensors do not hold this type",
                 .in = "--type",
                 .want = "bf16, f16 or f32",
                 .found = options.type,
                 .hint = "name a file that ends in .gguf"};
  }
  const bool has_importance = !options.collect.empty() || !options.imatrix.empty();
  if (has_importance && (!is_gguf || !is_block_type(find_type_mix(options.type)->dense))) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "this type has no use for importance",
                 .in = options.collect.empty() ? "--imatrix" : "--collect-imatrix",
                 .want = "a quantised type, as q4_k_m or iq2_xxs",
                 .found = options.type,
                 .hint = ""};
  }
  return {};
}

Result<int> convert(Options options) {
  const bool is_gguf = options.out.ends_with(kGgufExtension);
  if (options.type.empty()) options.type = is_gguf ? "q8_0" : "bf16";
  HADAL_TRY(check_usage(options, is_gguf));
  HADAL_ASSIGN(ModelFiles files, open_files(options));
  HADAL_ASSIGN(const std::shared_ptr<const LoadedModel> model, LoadedModel::open(std::move(files)));
  if (is_gguf) HADAL_TRY(gguf_architecture(model->description));
  // What the model was made of; it keeps its own files to itself.
  HADAL_ASSIGN(ModelFiles texts, open_files(options));
  HADAL_ASSIGN(json::Value config, read_config(*model, texts));
  HADAL_ASSIGN(std::optional<json::Value> tokenizer, read_tokenizer(*model, texts));
  HADAL_ASSIGN(std::string chat_template, read_chat_template(texts, model->checkpoint.gguf()));
  HADAL_ASSIGN(const std::optional<ImportanceMatrix> importance, importance_of(model, options));
  const ConvertSource source{.description = model->description,
                             .weights = model->weights.weights(),
                             .config = std::move(config),
                             .tokenizer_json = std::move(tokenizer),
                             .chat_template = std::move(chat_template),
                             .name = name_of(options),
                             .importance = importance ? &*importance : nullptr};
  const auto start = std::chrono::steady_clock::now();
  Result<ConvertSummary> summary = write(options, source, is_gguf);
  if (!summary.ok() && summary.error().code == ErrorCode::kCancelled) {
    fmt::print(stderr, "{}\n", summary.error().to_string());
    return kExitInterrupted;
  }
  HADAL_TRY(summary.ok() ? Result<void>() : Result<void>(summary.error()));
  print_summary(options, *summary, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return 0;
}

std::string footer() {
  std::string text = "Types:\n";
  for (const TypeMix& mix : type_mixes()) text += fmt::format("  {:<9}{}\n", mix.name, mix.what);
  return text +
         "Router, hyper-connections and norms stay F32. Rows that are no whole blocks take a type of shorter ones.\n"
         "A conversion that is stopped leaves nothing.\n"
         "\n"
         "Examples:\n"
         "  hadal convert ./DeepSeek-V4-Flash flash-q4.gguf --type q4_k_m\n"
         "  hadal convert embedded tiny.gguf --type q8_0\n"
         "  hadal convert ./DeepSeek-V4-Flash flash-q2.gguf --type q2_k --collect-imatrix calibration.txt\n"
         "  hadal convert flash-q4.gguf ./flash-bf16";
}

}  // namespace

void add_convert_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("convert", "Write a model in another format or type");
  command
      ->add_option("in", options->in,
                   "Model folder, .safetensors or .gguf file, name of a pulled model, or \"embedded\"")
      ->required()
      ->type_name("PATH");
  command->add_option("out", options->out, "A file that ends in .gguf, or a new folder for safetensors")
      ->required()
      ->type_name("PATH");
  command->add_option("--type", options->type, "Type of the weights; default: q8_0 for GGUF, bf16 for safetensors")
      ->check(CLI::IsMember(type_names()))
      ->type_name("TYPE");
  command
      ->add_option(
          "--imatrix", options->imatrix,
          "Importance matrix as llama.cpp writes it: errors are weighed by what each channel is used for; with "
          "--collect-imatrix the file to write")
      ->type_name("FILE");
  command
      ->add_option("--collect-imatrix", options->collect,
                   "Run this text through the model first and weigh errors by what it used")
      ->type_name("TEXT");
  command->add_flag("--json", options->json, "One JSON object instead of a line");
  command->footer(footer());
  command->callback([options, &action] { action = [options] { return convert(*options); }; });
}

}  // namespace hadal::cli
