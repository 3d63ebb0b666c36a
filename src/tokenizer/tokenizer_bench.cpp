// Speed of encoding with the vocabulary that ships: MB/s of text (bytes_per_second), one thread.
//
//   build/release/tokenizer_bench
//
// BM_encode takes whole texts, BM_split the pre-tokenizer alone (scanner and PCRE2), BM_merge one piece by its length
// in both ways of merging, BM_parse the file. For the vocabulary of DeepSeek-V3 see tests/tokenizer/npm_compare.mjs.
#include <benchmark/benchmark.h>

#include "base/utf8.h"
#include "testing/tokenizers.h"
#include "tokenizer/bpe.h"
#include "tokenizer/pre_tokenizer.h"

namespace hadal::tokenizer {
namespace {

using testing::source_file;

std::string english() {
  return source_file("tests/data/v4-tiny/heldout.txt");
}

std::string code() {
  std::string text;
  for (const char* name : {"regex.cpp", "regex_dialect.cpp", "tokenizer.cpp", "tokenizer_json.cpp", "bpe.cpp"}) {
    text += source_file(std::string("src/tokenizer/") + name);
  }
  return text;
}

// Runs of 1 to 12 Han characters between full stops and commas: as random as a seed makes them, so few merges.
std::string chinese() {
  std::mt19937_64 random(1);
  std::string text;
  while (text.size() < 200'000) {
    const size_t run = 1 + random() % 12;
    for (size_t i = 0; i < run; ++i) utf8::append(text, static_cast<char32_t>(0x4E00 + random() % 3000));
    text += random() % 3 == 0 ? "。\n" : "，";
  }
  return text;
}

void count_bytes(benchmark::State& state, size_t bytes) {
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
}

void BM_encode(benchmark::State& state, std::string (*make)()) {
  const std::string text = make();
  const Tokenizer& tokenizer = testing::tiny_tokenizer();
  std::vector<TokenId> ids;
  for (auto _ : state) {
    ids.clear();
    tokenizer.encode(text, AddedTokens::kRecognise, ids);
    benchmark::DoNotOptimize(ids.data());
  }
  count_bytes(state, text.size());
  state.counters["bytes_per_token"] = static_cast<double>(text.size()) / static_cast<double>(ids.size());
}
BENCHMARK_CAPTURE(BM_encode, english, &english);
BENCHMARK_CAPTURE(BM_encode, code, &code);
BENCHMARK_CAPTURE(BM_encode, chinese, &chinese);

void BM_split(benchmark::State& state, std::string (*make)(), PreTokenizer::Use use) {
  const std::string text = make();
  const std::vector<std::string_view> splits(kDeepSeekSplits.begin(), kDeepSeekSplits.end());
  const PreTokenizer pre_tokenizer = std::move(PreTokenizer::create(splits, use)).value();
  for (auto _ : state) {
    size_t pieces = 0;
    pre_tokenizer.for_each_piece(text, [&](std::string_view) { ++pieces; });
    benchmark::DoNotOptimize(pieces);
  }
  count_bytes(state, text.size());
}
BENCHMARK_CAPTURE(BM_split, english_scanner, &english, PreTokenizer::Use::kScannerWherePossible);
BENCHMARK_CAPTURE(BM_split, english_pcre2, &english, PreTokenizer::Use::kAlwaysRegex);
BENCHMARK_CAPTURE(BM_split, code_scanner, &code, PreTokenizer::Use::kScannerWherePossible);
BENCHMARK_CAPTURE(BM_split, code_pcre2, &code, PreTokenizer::Use::kAlwaysRegex);
BENCHMARK_CAPTURE(BM_split, chinese_scanner, &chinese, PreTokenizer::Use::kScannerWherePossible);
BENCHMARK_CAPTURE(BM_split, chinese_pcre2, &chinese, PreTokenizer::Use::kAlwaysRegex);

// The tables of the tiny vocabulary.
const BpeTables& tiny_tables() {
  static const json::Value root = std::move(json::parse(testing::tiny_tokenizer_text(), "tokenizer.json")).value();
  static const BpeTables tables = std::move(BpeTables::build(*read_tokenizer_json(root))).value();
  return tables;
}

using Merge = void (Bpe::*)(std::string_view, std::vector<TokenId>&) const;

void BM_merge(benchmark::State& state, Merge merge) {
  const Bpe bpe(tiny_tables());
  std::string letters;
  for (const char c : english()) {
    if (c >= 'a' && c <= 'z') letters += c;
  }
  const auto length = static_cast<size_t>(state.range(0));
  std::vector<TokenId> ids;
  size_t at = 0;
  for (auto _ : state) {
    ids.clear();
    at = at + 2 * length > letters.size() ? 0 : at + length;
    (bpe.*merge)(std::string_view(letters).substr(at, length), ids);
    benchmark::DoNotOptimize(ids.data());
  }
  count_bytes(state, length);
}
BENCHMARK_CAPTURE(BM_merge, array, &Bpe::merge_short)->RangeMultiplier(2)->Range(4, 512);
BENCHMARK_CAPTURE(BM_merge, heap, &Bpe::merge_long)->RangeMultiplier(2)->Range(4, 512);

void BM_parse(benchmark::State& state) {
  const std::string file = testing::tiny_tokenizer_text();
  for (auto _ : state) benchmark::DoNotOptimize(Tokenizer::parse(file, "tokenizer.json"));
  count_bytes(state, file.size());
}
BENCHMARK(BM_parse)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace hadal::tokenizer
