// The next-token distribution of a model for another program (npm_llama.mjs): a line per position with the natural
// logarithms of the probabilities of the whole vocabulary.
//
//   logits_tool MODEL MODE ID ID ...        MODE exact, fast
//   [-3.2, -11.8, ...]
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "engine/engine.h"

namespace hadal {
namespace {

template <class T>
T value_or_exit(Result<T> result) {
  if (!result.ok()) {
    fmt::print(stderr, "{}\n", result.error().to_string());
    std::exit(1);
  }
  return std::move(result).value();
}

class Printer final : public EngineObserver {
 public:
  void logits(SequenceId, int64_t, std::span<const float> row) override {
    const double most = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const float v : row) sum += std::exp(static_cast<double>(v) - most);
    const double log_sum = most + std::log(sum);
    std::string line = "[";
    for (const float v : row) line += fmt::format("{:.6g},", static_cast<double>(v) - log_sum);
    line.back() = ']';
    fmt::print("{}\n", line);
  }
};

int run(const char* path, std::string_view mode, std::span<char*> arguments) {
  std::vector<int32_t> ids;
  for (const char* id : arguments) ids.push_back(std::atoi(id));
  ModelFiles files = value_or_exit(ModelFiles::open(path));
  const auto model = value_or_exit(LoadedModel::open(std::move(files)));
  const NumericMode numbers = mode == "fast" ? NumericMode::kFast : NumericMode::kExact;
  Engine engine = value_or_exit(
      Engine::create(model, {.mode = numbers, .n_threads = 2, .context_tokens = static_cast<int64_t>(ids.size()) + 1}));
  const SequenceId id = value_or_exit(engine.open());
  Printer printer;
  const Result<void> submitted = engine.submit(id, ids, LogitsWanted::kAll);
  const Result<void> ran = submitted.ok() ? engine.run(printer) : submitted;
  if (ran.ok()) return 0;
  fmt::print(stderr, "{}\n", ran.error().to_string());
  return 1;
}

}  // namespace
}  // namespace hadal

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "usage: logits_tool MODEL MODE ID ID ...\n");
    return 2;
  }
  return hadal::run(argv[1], argv[2], std::span(argv + 3, static_cast<size_t>(argc - 3)));
}
