// Goldens from strangers: each that does not fit the model is refused by name before a number of it is used.
#include "engine/goldens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <limits>

#include "model/model_description.h"
#include "testing/checkpoint_builder.h"

namespace hadal {
namespace {

using test::BuilderTensor;
using test::must;
using ::testing::HasSubstr;

ModelDescription small_description() {
  const std::string path = std::string(HADAL_SOURCE_DIR) + "/tests/data/v4-random/config.json";
  return must(parse_model_config(must(json::parse(must(read_file(path, 1 << 20)), path)), path));
}

// A set "p" of three tokens in that model's shapes, and its file. The numbers are all zeros but the positions.
class GoldenFile {
 public:
  explicit GoldenFile(const ModelDescription& d) {
    const auto L = static_cast<int64_t>(d.layers.size());
    add("p.ids", DType::kI32, {3});
    add("p.nll", DType::kF32, {2});
    add("p.greedy", DType::kI32, {2});
    add("p.logits_pos", DType::kI32, {2}, {0, 2});
    add("p.logits", DType::kF32, {2, d.vocab_size});
    add("p.mtp_pos", DType::kI32, {1});
    add("p.mtp_logits", DType::kF32, {1, d.vocab_size});
    add("p.stream_pos", DType::kI32, {1});
    add("p.streams", DType::kF32, {L, 1, d.hc_mult, d.hidden});
    add("p.experts", DType::kI32, {L, 3, d.n_experts_per_token});
    add("p.expert_weights", DType::kF32, {L, 1, d.n_experts_per_token});
    add("p.index_pos", DType::kI32, {1});
    add("p.index.L2", DType::kI32, {1, d.index_topk});
    add("p.index_scores_last.L2", DType::kF32, {4});
  }

  void add(const std::string& name, DType dtype, const std::vector<int64_t>& shape,
           const std::vector<int32_t>& values = {}) {
    BuilderTensor tensor{name, dtype, shape, ""};
    tensor.fit();
    if (!values.empty()) std::memcpy(tensor.bytes.data(), values.data(), values.size() * sizeof(int32_t));
    tensors_.push_back(std::move(tensor));
  }
  BuilderTensor& at(const std::string& name) {
    return *std::find_if(tensors_.begin(), tensors_.end(), [&](const BuilderTensor& t) { return t.name == name; });
  }
  void erase(const std::string& name) {
    std::erase_if(tensors_, [&](const BuilderTensor& t) { return t.name == name; });
  }
  void reshape(const std::string& name, const std::vector<int64_t>& shape) {
    at(name).shape = shape;
    at(name).fit();
  }
  template <class T>
  void put(const std::string& name, size_t i, T value) {
    std::memcpy(at(name).bytes.data() + i * sizeof value, &value, sizeof value);
  }

  std::string bytes() const {
    std::vector<TensorToWrite> headers;
    for (const BuilderTensor& t : tensors_) headers.push_back({t.name, t.dtype, t.shape});
    std::string file = safetensors_header(headers, {});
    for (const BuilderTensor& t : tensors_) file += t.bytes;
    return file;
  }

 private:
  std::vector<BuilderTensor> tensors_;
};

Result<void> checked(const std::string& file, const ModelDescription& description) {
  HADAL_ASSIGN(const Goldens goldens, Goldens::parse(std::as_bytes(std::span(file)), "goldens.safetensors"));
  return goldens.check("p", description);
}

struct BadGoldens {
  std::string name;
  std::function<void(GoldenFile&)> bend;
  std::string in;
  std::string want;
};

class GoldensRefuse : public ::testing::TestWithParam<BadGoldens> {};

TEST_P(GoldensRefuse, with_the_tensor_and_what_was_wanted) {
  const ModelDescription description = small_description();
  GoldenFile file(description);
  GetParam().bend(file);
  const Result<void> result = checked(file.bytes(), description);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().in, "goldens.safetensors: \"" + GetParam().in + "\"");
  EXPECT_THAT(result.error().want, HasSubstr(GetParam().want));
  EXPECT_NE(result.error().found, "");
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

INSTANTIATE_TEST_SUITE_P(
    Tensors, GoldensRefuse,
    ::testing::Values(
        BadGoldens{"no_nll", [](GoldenFile& f) { f.erase("p.nll"); }, "p.nll", "F32 [2]"},
        BadGoldens{"ids_of_two_axes",
                   [](GoldenFile& f) {
                     f.reshape("p.ids", {3, 1});
                   },
                   "p.ids", "I32 [3]"},
        BadGoldens{"no_ids", [](GoldenFile& f) { f.reshape("p.ids", {0}); }, "p.ids", "at least 2"},
        BadGoldens{"more_ids_than_context", [](GoldenFile& f) { f.reshape("p.ids", {1 << 20}); }, "p.ids",
                   "tokens with the greedy ones"},
        BadGoldens{"id_beyond_vocabulary", [](GoldenFile& f) { f.put<int32_t>("p.ids", 1, 512); }, "p.ids", "0 to 511"},
        BadGoldens{"negative_id", [](GoldenFile& f) { f.put<int32_t>("p.ids", 0, -1); }, "p.ids", "0 to 511"},
        BadGoldens{"greedy_beyond_vocabulary", [](GoldenFile& f) { f.put<int32_t>("p.greedy", 1, 1 << 30); },
                   "p.greedy", "0 to 511"},
        BadGoldens{"nll_of_nan", [](GoldenFile& f) { f.put("p.nll", 1, kNan); }, "p.nll", "finite"},
        BadGoldens{"logits_of_infinity", [](GoldenFile& f) { f.put("p.logits", 511, kInfinity); }, "p.logits",
                   "finite"},
        BadGoldens{"logits_of_halves", [](GoldenFile& f) { f.at("p.logits").dtype = DType::kI32; }, "p.logits",
                   "F32 [2, 512]"},
        BadGoldens{"positions_without_logits", [](GoldenFile& f) { f.erase("p.logits"); }, "p.logits", "F32 [2, 512]"},
        BadGoldens{"fewer_rows_than_positions",
                   [](GoldenFile& f) {
                     f.reshape("p.logits", {1, 512});
                   },
                   "p.logits", "F32 [2, 512]"},
        BadGoldens{"a_position_behind_the_end", [](GoldenFile& f) { f.put<int32_t>("p.logits_pos", 1, 3); },
                   "p.logits_pos", "0 to 2"},
        BadGoldens{"a_position_twice", [](GoldenFile& f) { f.put<int32_t>("p.logits_pos", 1, 0); }, "p.logits_pos",
                   "ascending"},
        BadGoldens{"a_draft_behind_the_last_token", [](GoldenFile& f) { f.put<int32_t>("p.mtp_pos", 0, 2); },
                   "p.mtp_pos", "0 to 1"},
        BadGoldens{"streams_of_another_width",
                   [](GoldenFile& f) {
                     f.reshape("p.streams", {6, 1, 4, 63});
                   },
                   "p.streams", "F32 [6, 1, 4, 64]"},
        BadGoldens{"experts_without_weights", [](GoldenFile& f) { f.erase("p.expert_weights"); }, "p.expert_weights",
                   "F32 [6, 1, 2]"},
        BadGoldens{"an_expert_that_is_not_there", [](GoldenFile& f) { f.put<int32_t>("p.experts", 5, 1000); },
                   "p.experts", "0 to"},
        BadGoldens{"an_entry_behind_the_end", [](GoldenFile& f) { f.put<int32_t>("p.index.L2", 0, 3); }, "p.index.L2",
                   "-1 to 2"},
        BadGoldens{"scores_of_nan", [](GoldenFile& f) { f.put("p.index_scores_last.L2", 3, kNan); },
                   "p.index_scores_last.L2", "finite"}),
    [](const auto& test) { return test.param.name; });

TEST(Goldens, that_fit_are_taken) {
  const ModelDescription description = small_description();
  const Result<void> result = checked(GoldenFile(description).bytes(), description);
  EXPECT_TRUE(result.ok()) << result.error().to_string();
}

TEST(Goldens, that_are_cut_anywhere_are_refused) {
  const ModelDescription description = small_description();
  const std::string file = GoldenFile(description).bytes();
  for (size_t n = 0; n < file.size(); n += 97) {
    EXPECT_FALSE(checked(file.substr(0, n), description).ok()) << n;
  }
}

TEST(Goldens, of_absurd_sizes_are_refused_by_their_header) {
  for (const char* shape : {"[9223372036854775807, 9223372036854775807]", "[-1]", "[4611686018427387904, 4]"}) {
    std::string header = std::string(R"({"p.ids":{"dtype":"I32","shape":)") + shape + R"(,"data_offsets":[0,16]}})";
    uint64_t bytes = header.size();
    std::string file(reinterpret_cast<const char*>(&bytes), sizeof bytes);
    file += header + std::string(16, '\0');
    EXPECT_FALSE(Goldens::parse(std::as_bytes(std::span(file)), "f").ok()) << shape;
  }
}

TEST(Goldens, that_lie_at_odd_bytes_can_be_read) {
  GoldenFile file(small_description());
  file.add("odd", DType::kI8, {3});
  file.add("q.ids", DType::kI32, {2});
  const std::string bytes = file.bytes();
  const Result<Goldens> goldens = Goldens::parse(std::as_bytes(std::span(bytes)), "f");
  ASSERT_TRUE(goldens.ok()) << goldens.error().to_string();
  const std::span<const int32_t> ids = goldens->numbers<int32_t>("q.ids");
  ASSERT_EQ(ids.size(), 2u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(ids.data()) % 4, 0u);
}

}  // namespace
}  // namespace hadal
