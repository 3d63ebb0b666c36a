// One step of the sampler at DeepSeek's vocabulary of 129,280, for the options that people use and for the worst cases.
//
// Peaked logits are like a trained model's: a few tokens hold most of the probability. Flat ones are the worst case of
// top-p: half the vocabulary is in the nucleus. Bytes are those of the logits alone.
#include <benchmark/benchmark.h>

#include <cmath>
#include <string>
#include <vector>

#include "sampling/philox.h"
#include "sampling/sampler.h"
#include "sampling/weights.h"

namespace hadal {
namespace {

constexpr int64_t kVocab = 129280;

double unit(uint64_t seed, uint64_t index) {
  return (static_cast<double>(random_bits(seed, index)) + 0.5) * 0x1p-64;
}

// Gumbel noise of scale 2: the best of 129,280 stands out by some units, as in a language model's output.
std::vector<float> peaked_logits() {
  std::vector<float> logits(kVocab);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(-2 * std::log(-std::log(unit(1, i))));
  return logits;
}

std::vector<float> flat_logits() {
  std::vector<float> logits(kVocab);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(unit(2, i) * 0.1);
  return logits;
}

void run(benchmark::State& state, const SamplingOptions& options, const std::vector<float>& logits) {
  Sampler sampler(options, kVocab);
  SamplingWork work;
  for (TokenId token = 0; token < 1000; ++token) sampler.accept(token * 100);
  for (auto _ : state) {
    const Sampled sampled = sampler.sample(logits, work).value();
    benchmark::DoNotOptimize(sampled.token);
    sampler.accept(sampled.token);
  }
  state.SetBytesProcessed(state.iterations() * kVocab * static_cast<int64_t>(sizeof(float)));
}

void register_all() {
  const struct {
    std::string name;
    SamplingOptions options;
  } cases[] = {
      {"greedy", {.temperature = 0}},
      {"temperature_1", {}},
      {"top_k_40", {.top_k = 40}},
      {"top_k_20000", {.top_k = 20000}},
      {"top_p_95", {.top_p = 0.95}},
      {"min_p_05", {.min_p = 0.05}},
      {"ollama_defaults", {.temperature = 0.8, .top_k = 40, .top_p = 0.9, .repetition_penalty = 1.1}},
      {"top_p_95_logprobs_20", {.top_p = 0.95, .logprobs = 20}},
  };
  for (const auto& [name, options] : cases) {
    for (const bool is_flat : {false, true}) {
      benchmark::RegisterBenchmark(("sample/" + name + (is_flat ? "/flat" : "/peaked")).c_str(),
                                   [chosen = options, is_flat](benchmark::State& state) {
                                     run(state, chosen, is_flat ? flat_logits() : peaked_logits());
                                   })
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

const int kRegistered = (register_all(), 0);

}  // namespace
}  // namespace hadal
