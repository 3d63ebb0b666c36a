// Promise 2: the same tokens give the same bits, however they were fed, batched, threaded, saved or rolled back. For
// every fixture with tokens of its own and every numeric mode, on whole logits.

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <map>
#include <random>

#include "engine/engine.h"
#include "testing/compare.h"
#include "testing/cuda.h"
#include "testing/made_up_model.h"
#include "testing/tiny_hadal.h"

namespace hadal {
namespace {

class Collector final : public EngineObserver {
 public:
  void logits(SequenceId id, int64_t position, std::span<const float> logits) override {
    at[{id, position}].assign(logits.begin(), logits.end());
  }
  std::map<std::pair<SequenceId, int64_t>, std::vector<float>> at;
};

class StringSink final : public ByteSink {
 public:
  Result<void> write(std::span<const std::byte> piece) override {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    return {};
  }
  std::vector<std::byte> bytes;
};

struct Setup {
  const char* folder;
  NumericMode mode;
  Device::Kind device = Device::Kind::kCpu;
};

// The announced system in small: latents, indexer, lagging streams, n-gram table, experts in groups; and V4.1's
// two-level choice.
constexpr const char* kHadalTiny = "made-up/hadal-tiny";

std::shared_ptr<const LoadedModel> load_tiny_hadal() {
  static const test::MadeUpModel model(
      test::tiny_hadal({{"candidate_source_layer_id", "1"}, {"candidate_topk_blocks", "12"}}));
  return model.loaded();
}

std::shared_ptr<const LoadedModel> load(const char* folder) {
  if (folder == std::string_view(kHadalTiny)) return load_tiny_hadal();
  static std::map<std::string, std::shared_ptr<const LoadedModel>> models;
  std::shared_ptr<const LoadedModel>& model = models[folder];
  if (model == nullptr) {
    Result<ModelFiles> files = ModelFiles::open(fs::path(HADAL_SOURCE_DIR) / folder);
    EXPECT_TRUE(files.ok());
    Result<std::shared_ptr<const LoadedModel>> loaded = LoadedModel::open(std::move(*files));
    EXPECT_TRUE(loaded.ok()) << (loaded.ok() ? "" : loaded.error().to_string());
    model = *loaded;
  }
  return model;
}

class Equalities : public ::testing::TestWithParam<Setup> {
 protected:
  // Long enough for two borders of 128 and some groups of every ratio.
  static constexpr int64_t kTokens = 283;

  void SetUp() override {
    if (const std::string why = test::why_skip(GetParam().device); !why.empty()) GTEST_SKIP() << why;
  }

  Engine engine(int64_t chunk, int n_threads = 2) const { return engine(chunk, n_threads, GetParam().device); }
  static Engine engine(int64_t chunk, int n_threads, Device::Kind device) {
    Result<Engine> made = Engine::create(load(GetParam().folder), {.mode = GetParam().mode,
                                                                   .device = {.kind = device},
                                                                   .n_threads = n_threads,
                                                                   .context_tokens = 512,
                                                                   .chunk_tokens = chunk,
                                                                   .checkpoint_spacing_tokens = 128});
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().to_string());
    return std::move(*made);
  }

  std::vector<int32_t> tokens(uint32_t seed, int64_t n = kTokens) const {
    std::mt19937 random(seed);
    std::vector<int32_t> ids(static_cast<size_t>(n));
    const auto vocab = static_cast<uint32_t>(load(GetParam().folder)->description.vocab_size);
    for (int32_t& id : ids) id = static_cast<int32_t>(random() % vocab);
    return ids;
  }

  static SequenceId open(Engine& engine) {
    Result<SequenceId> id = engine.open();
    EXPECT_TRUE(id.ok());
    return *id;
  }
  static void submit(Engine& engine, SequenceId id, std::span<const int32_t> ids, LogitsWanted wanted) {
    const Result<void> result = engine.submit(id, ids, wanted);
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().to_string());
  }
  static void run(Engine& engine, Collector& collector) {
    const Result<void> result = engine.run(collector);
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().to_string());
  }

  // Logits of every position, fed at once in chunks of 512.
  std::map<int64_t, std::vector<float>> whole(std::span<const int32_t> ids, int n_threads = 2,
                                              int64_t chunk = 512) const {
    Engine e = engine(chunk, n_threads);
    const SequenceId id = open(e);
    Collector collector;
    submit(e, id, ids, LogitsWanted::kAll);
    run(e, collector);
    std::map<int64_t, std::vector<float>> logits;
    for (auto& [key, row] : collector.at) logits[key.second] = std::move(row);
    return logits;
  }

  static void expect_equal(const std::map<int64_t, std::vector<float>>& want, const Collector& got, SequenceId id,
                           int64_t from) {
    int64_t compared = 0;
    for (const auto& [position, row] : want) {
      if (position < from) continue;
      const auto found = got.at.find({id, position});
      ASSERT_NE(found, got.at.end()) << "no logits at " << position;
      ASSERT_TRUE(test::same_bits(found->second, row)) << "position " << position;
      ++compared;
    }
    EXPECT_GT(compared, 0);
  }
};

TEST_P(Equalities, chunks_of_any_size_give_the_bits_of_the_whole) {
  const std::vector<int32_t> ids = tokens(1);
  const auto want = whole(ids);
  for (const int64_t chunk : {1, 7, 64}) {
    const auto got = whole(ids, 2, chunk);
    for (const auto& [position, row] : want) {
      ASSERT_TRUE(test::same_bits(got.at(position), row)) << "chunk " << chunk << ", position " << position;
    }
  }
}

TEST_P(Equalities, tokens_without_logits_leave_the_same_past) {
  // The last layer of such tokens is not computed, only remembered.
  const std::vector<int32_t> ids = tokens(1);
  const auto want = whole(ids);
  for (const int64_t chunk : {1, 64, 512}) {
    Engine e = engine(chunk);
    const SequenceId a = open(e);
    const SequenceId b = open(e);
    Collector collector;
    // Two sequences, so that rows with and without logits mix within a step.
    submit(e, a, std::span(ids).first(100), LogitsWanted::kLast);
    submit(e, b, std::span(ids).first(30), LogitsWanted::kAll);
    run(e, collector);
    submit(e, b, std::span(ids).subspan(30, 150), LogitsWanted::kNone);
    submit(e, a, std::span(ids).subspan(100, 2), LogitsWanted::kLast);
    run(e, collector);
    submit(e, a, std::span(ids).subspan(102), LogitsWanted::kLast);
    submit(e, b, std::span(ids).subspan(180), LogitsWanted::kLast);
    run(e, collector);
    for (const auto& [key, row] : collector.at) {
      ASSERT_TRUE(test::same_bits(row, want.at(key.second))) << "chunk " << chunk << ", position " << key.second;
    }
    EXPECT_EQ(collector.at.size(), 3u + 30u + 1u);
  }
}

TEST_P(Equalities, one_thread_gives_the_bits_of_two_and_three) {
  const std::vector<int32_t> ids = tokens(2, 150);
  const auto want = whole(ids, 1);
  for (const int n_threads : {2, 3}) {
    const auto got = whole(ids, n_threads);
    for (const auto& [position, row] : want) ASSERT_TRUE(test::same_bits(got.at(position), row)) << position;
  }
}

TEST_P(Equalities, a_restored_sequence_goes_on_with_the_same_bits) {
  const std::vector<int32_t> ids = tokens(3);
  const auto want = whole(ids);
  for (const int64_t cut : {1, 5, 127, 128, 131, 256, 260}) {
    Engine e = engine(64);
    const SequenceId id = open(e);
    Collector ignored;
    submit(e, id, std::span(ids).first(static_cast<size_t>(cut)), LogitsWanted::kNone);
    run(e, ignored);
    StringSink saved;
    ASSERT_TRUE(e.save(id, saved).ok());
    Engine other = engine(512);
    const Result<SequenceId> restored = other.restore(saved.bytes, "saved");
    ASSERT_TRUE(restored.ok()) << restored.error().to_string();
    EXPECT_EQ(other.length(*restored), cut);
    Collector collector;
    submit(other, *restored, std::span(ids).subspan(static_cast<size_t>(cut)), LogitsWanted::kAll);
    run(other, collector);
    expect_equal(want, collector, *restored, cut);
  }
}

TEST_P(Equalities, forks_go_on_independently_with_the_same_bits) {
  std::vector<int32_t> a = tokens(4);
  std::vector<int32_t> b = a;
  for (size_t i = 140; i < b.size(); ++i) b[i] = a[a.size() - 1 - (i - 140)];
  const auto want_a = whole(a);
  const auto want_b = whole(b);
  Engine e = engine(64);
  const SequenceId first = open(e);
  Collector collector;
  submit(e, first, std::span(a).first(140), LogitsWanted::kNone);
  run(e, collector);
  const Result<SequenceId> second = e.fork(first);
  ASSERT_TRUE(second.ok());
  submit(e, first, std::span(a).subspan(140), LogitsWanted::kAll);
  submit(e, *second, std::span(b).subspan(140), LogitsWanted::kAll);
  run(e, collector);
  expect_equal(want_a, collector, first, 140);
  expect_equal(want_b, collector, *second, 140);
}

TEST_P(Equalities, a_truncated_sequence_replays_to_the_same_bits) {
  const std::vector<int32_t> ids = tokens(5);
  const auto want = whole(ids);
  Engine e = engine(64);
  const SequenceId id = open(e);
  Collector collector;
  submit(e, id, ids, LogitsWanted::kNone);
  run(e, collector);
  for (const int64_t cut : {270, 256, 200, 128, 77, 3, 0}) {
    const Result<int64_t> replayed = e.truncate(id, cut);
    ASSERT_TRUE(replayed.ok());
    // A state with a tail kept one at every border of 128 tokens; one without goes back to any length.
    EXPECT_EQ(*replayed, e.layout().is_append_only() ? 0 : cut % 128);
    collector.at.clear();
    submit(e, id, std::span(ids).subspan(static_cast<size_t>(cut)), LogitsWanted::kAll);
    run(e, collector);
    expect_equal(want, collector, id, cut);
  }
}

TEST_P(Equalities, a_sequence_in_a_batch_of_five_gives_the_bits_it_gives_alone) {
  Engine e = engine(97);
  Collector collector;
  std::vector<std::vector<int32_t>> ids;
  std::vector<SequenceId> sequences;
  for (uint32_t s = 0; s < 5; ++s) {
    ids.push_back(tokens(10 + s, 20 + 47 * static_cast<int64_t>(s)));
    sequences.push_back(open(e));
    submit(e, sequences.back(), ids.back(), LogitsWanted::kAll);
  }
  run(e, collector);
  // Then a token at a time, all together.
  for (uint32_t step = 0; step < 4; ++step) {
    for (size_t s = 0; s < 5; ++s) {
      ids[s].push_back(static_cast<int32_t>((s * 31 + step * 7) % 200));
      submit(e, sequences[s], {&ids[s].back(), 1}, LogitsWanted::kAll);
    }
    run(e, collector);
  }
  for (size_t s = 0; s < 5; ++s) expect_equal(whole(ids[s]), collector, sequences[s], 0);
}

// More sequences than any device takes together (ops/batch.h): each list of ops goes in two parts.
TEST_P(Equalities, a_sequence_in_a_batch_of_seventy_gives_the_bits_it_gives_alone) {
  constexpr size_t kSequences = 70;
  Engine e = engine(97);
  Collector collector;
  std::vector<std::vector<int32_t>> ids;
  std::vector<SequenceId> sequences;
  for (uint32_t s = 0; s < kSequences; ++s) {
    // Some complete a group of 128 in the steps below; those of 4 are completed now by one, now by another.
    ids.push_back(tokens(100 + s, s % 16 == 5 ? 126 : 1 + s % 9));
    sequences.push_back(open(e));
    submit(e, sequences.back(), ids.back(), LogitsWanted::kNone);
  }
  run(e, collector);
  for (uint32_t step = 0; step < 3; ++step) {
    for (size_t s = 0; s < kSequences; ++s) {
      ids[s].push_back(static_cast<int32_t>((s * 31 + step * 7) % 200));
      submit(e, sequences[s], {&ids[s].back(), 1}, LogitsWanted::kAll);
    }
    run(e, collector);
  }
  for (const size_t s : {0, 5, 31, 53, 63, 64, 69}) {
    expect_equal(whole(ids[s]), collector, sequences[s], std::ssize(ids[s]) - 3);
  }
}

TEST_P(Equalities, a_state_saved_on_one_device_is_the_same_state_on_the_other) {
  const std::vector<int32_t> ids = tokens(6);
  Engine one = engine(64, 2, Device::Kind::kCpu);
  const SequenceId id = open(one);
  Collector ignored;
  submit(one, id, ids, LogitsWanted::kNone);
  run(one, ignored);
  StringSink saved;
  ASSERT_TRUE(one.save(id, saved).ok());
  Engine other = engine(64);
  const Result<SequenceId> restored = other.restore(saved.bytes, "saved");
  ASSERT_TRUE(restored.ok()) << restored.error().to_string();
  EXPECT_EQ(other.tokens(*restored), ids);
  StringSink again;
  ASSERT_TRUE(other.save(*restored, again).ok());
  EXPECT_EQ(again.bytes, saved.bytes);
}

std::vector<Setup> setups() {
  std::vector<Setup> all;
  for (const char* folder : {"tests/data/v4-random", "tests/data/v4-random-fp8", "models/v4-tiny",
                             "tests/data/v3-random", "tests/data/v3-random-fp8", "tests/data/v32-random",
                             "tests/data/v41-random", "tests/data/v41-random-fp8", kHadalTiny}) {
    for (const NumericMode mode : {NumericMode::kExact, NumericMode::kPublished, NumericMode::kFast}) {
      all.push_back({folder, mode});
      if (std::string_view(folder).find("v4-") != std::string_view::npos) {
        all.push_back({folder, mode, Device::Kind::kCuda});
      }
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Models, Equalities, ::testing::ValuesIn(setups()), [](const auto& test) {
  std::string name = std::string(test.param.folder).substr(std::string(test.param.folder).rfind('/') + 1);
  std::replace(name.begin(), name.end(), '-', '_');
  name += "_" + std::string(numeric_mode_name(test.param.mode));
  return test.param.device == Device::Kind::kCuda ? name + "_gpu" : name;
});

}  // namespace
}  // namespace hadal
