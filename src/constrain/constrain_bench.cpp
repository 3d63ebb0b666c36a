// What a mask costs: the first visit of each place in a text, and every later one. HADAL_TOKENIZER=tokenizer.json
// measures another vocabulary than the embedded model's.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>

#include "base/check.h"
#include "base/io.h"
#include "constrain/json_schema.h"
#include "constrain/machine.h"

namespace hadal::constrain {
namespace {

constexpr std::string_view kSchema =
    R"({"type":"object","properties":{"name":{"type":"string"},"kind":{"enum":["a","b","c"]},"size":{"type":"integer",)"
    R"("minimum":0,"maximum":1000},"notes":{"type":"array","items":{"type":"string","maxLength":200}}},)"
    R"("required":["name","kind","size","notes"],"additionalProperties":false})";

const Tokenizer& bench_tokenizer() {
  static const Tokenizer kTokenizer = [] {
    const char* const given = std::getenv("HADAL_TOKENIZER");
    const std::string path =
        given != nullptr ? given : std::string(HADAL_SOURCE_DIR) + "/models/v4-tiny/tokenizer.json";
    return Tokenizer::parse(read_file(path, 1 << 28).value(), path).value();
  }();
  return kTokenizer;
}

void BM_token_trie(benchmark::State& state) {
  for (auto _ : state) {
    const TokenTrie trie(bench_tokenizer(), bench_tokenizer().vocab_size());
    benchmark::DoNotOptimize(trie.nodes().data());
  }
}
BENCHMARK(BM_token_trie)->Unit(benchmark::kMillisecond);

void BM_compile_schema(benchmark::State& state) {
  const json::Value schema = json::parse(kSchema, "schema").value();
  for (auto _ : state) benchmark::DoNotOptimize(schema_grammar(schema, {}).value().states.data());
}
BENCHMARK(BM_compile_schema)->Unit(benchmark::kMicrosecond);

// Random texts of the schema; the time of each step's mask, sorted.
void BM_mask_of_random_texts(benchmark::State& state) {
  const bool is_warm = state.range(0) != 0;
  const auto trie = std::make_shared<const TokenTrie>(bench_tokenizer(), bench_tokenizer().vocab_size());
  const json::Value schema = json::parse(kSchema, "schema").value();
  std::vector<float> logits(static_cast<size_t>(trie->n_tokens()));
  std::vector<double> times_us;
  std::mt19937_64 random(1);
  auto machine = std::make_shared<GrammarMachine>(trie, schema_grammar(schema, {}).value(), 1);
  for (auto _ : state) {
    if (!is_warm) machine = std::make_shared<GrammarMachine>(trie, schema_grammar(schema, {}).value(), 1);
    GrammarMatcher matcher(machine);
    for (int n = 0; n < 200 && !(matcher.can_end() && n > 20); ++n) {
      std::fill(logits.begin(), logits.end(), 0.0F);
      const auto begin = std::chrono::steady_clock::now();
      matcher.apply_mask(logits);
      times_us.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
      std::vector<TokenId> allowed;
      for (size_t i = 0; i < logits.size(); ++i) {
        if (logits[i] == 0.0F) allowed.push_back(static_cast<TokenId>(i));
      }
      if (!matcher.accept(allowed[random() % allowed.size()])) break;
    }
  }
  std::sort(times_us.begin(), times_us.end());
  const auto at = [&](double share) {
    return times_us[static_cast<size_t>(share * static_cast<double>(times_us.size() - 1))];
  };
  state.counters["p50_us"] = at(0.5);
  state.counters["p99_us"] = at(0.99);
  state.counters["max_us"] = at(1);
}
BENCHMARK(BM_mask_of_random_texts)->ArgName("warm")->Arg(0)->Arg(1)->Iterations(20)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace hadal::constrain
