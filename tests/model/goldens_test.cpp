// The models against their golden vectors, as `hadal compare` does it, with every version of the kernels.

#include <gtest/gtest.h>

#include "engine/compare.h"
#include "testing/compared.h"
#include "testing/cuda.h"

namespace hadal {
namespace {

struct Setup {
  const char* name;
  const char* model;
  const char* goldens;
  NumericMode mode;
  CpuLevel level;
  Device::Kind device = Device::Kind::kCpu;
};

CompareReport compared(const Setup& setup) {
  const fs::path root(HADAL_SOURCE_DIR);
  Result<ModelFiles> files = ModelFiles::open(root / setup.model);
  EXPECT_TRUE(files.ok());
  const Result<std::shared_ptr<const LoadedModel>> model = LoadedModel::open(std::move(*files));
  EXPECT_TRUE(model.ok()) << (model.ok() ? "" : model.error().to_string());
  if (!model.ok()) return CompareReport{.pass = false};
  return test::compared(*model, root / setup.goldens,
                        {.mode = setup.mode, .engine = {.device = {.kind = setup.device}, .cpu_level = setup.level}});
}

class GoldenVectors : public ::testing::TestWithParam<Setup> {};

TEST_P(GoldenVectors, hold_within_their_tolerances) {
  if (const std::string why = test::why_skip(GetParam().device); !why.empty()) GTEST_SKIP() << why;
  const CompareReport report = compared(GetParam());
  EXPECT_TRUE(report.pass);
  EXPECT_TRUE(report.greedy_equal);
  EXPECT_GE(report.rows.size(), 5u);
  for (const CompareRow& row : report.rows) {
    EXPECT_TRUE(row.pass) << row.prompt << " " << row.what << ": " << row.worst_abs << " " << row.note;
    EXPECT_GT(row.n, 0) << row.prompt << " " << row.what;
  }
}

constexpr auto kExact = NumericMode::kExact;
constexpr auto kPublished = NumericMode::kPublished;
constexpr auto kGpu = Device::Kind::kCuda;
const Setup kSetups[] = {
    {"v4_random_avx512", "tests/data/v4-random", "tests/data/v4-random", kExact, CpuLevel::kAvx512},
    {"v4_random_avx2", "tests/data/v4-random", "tests/data/v4-random", kExact, CpuLevel::kAvx2},
    {"v4_random_portable", "tests/data/v4-random", "tests/data/v4-random", kExact, CpuLevel::kPortable},
    {"v4_random_transformers_names", "tests/data/v4-random-hf", "tests/data/v4-random", kExact, CpuLevel::kAvx512},
    {"v4_random_published", "tests/data/v4-random", "tests/data/v4-random", kPublished, CpuLevel::kAvx512},
    {"v4_random_fp8_avx512", "tests/data/v4-random-fp8", "tests/data/v4-random-fp8", kExact, CpuLevel::kAvx512},
    {"v4_random_fp8_avx2", "tests/data/v4-random-fp8", "tests/data/v4-random-fp8", kExact, CpuLevel::kAvx2},
    {"v4_random_fp8_published", "tests/data/v4-random-fp8", "tests/data/v4-random-fp8", kPublished, CpuLevel::kAvx512},
    {"v3_random_avx512", "tests/data/v3-random", "tests/data/v3-random", kExact, CpuLevel::kAvx512},
    {"v3_random_avx2", "tests/data/v3-random", "tests/data/v3-random", kExact, CpuLevel::kAvx2},
    {"v3_random_portable", "tests/data/v3-random", "tests/data/v3-random", kExact, CpuLevel::kPortable},
    {"v3_random_fp8_avx512", "tests/data/v3-random-fp8", "tests/data/v3-random-fp8", kExact, CpuLevel::kAvx512},
    {"v3_random_fp8_avx2", "tests/data/v3-random-fp8", "tests/data/v3-random-fp8", kExact, CpuLevel::kAvx2},
    {"v3_random_fp8_published", "tests/data/v3-random-fp8", "tests/data/v3-random-fp8", kPublished, CpuLevel::kAvx512},
    {"v32_random_avx512", "tests/data/v32-random", "tests/data/v32-random", kExact, CpuLevel::kAvx512},
    {"v32_random_avx2", "tests/data/v32-random", "tests/data/v32-random", kExact, CpuLevel::kAvx2},
    {"v32_random_portable", "tests/data/v32-random", "tests/data/v32-random", kExact, CpuLevel::kPortable},
    {"v32_random_index", "tests/data/v32-random", "tests/data/v32-random", kPublished, CpuLevel::kAvx512},
    {"v41_random_avx512", "tests/data/v41-random", "tests/data/v41-random", kExact, CpuLevel::kAvx512},
    {"v41_random_avx2", "tests/data/v41-random", "tests/data/v41-random", kExact, CpuLevel::kAvx2},
    {"v41_random_portable", "tests/data/v41-random", "tests/data/v41-random", kExact, CpuLevel::kPortable},
    {"v41_random_published", "tests/data/v41-random", "tests/data/v41-random", kPublished, CpuLevel::kAvx512},
    {"v41_random_fp8_avx512", "tests/data/v41-random-fp8", "tests/data/v41-random-fp8", kExact, CpuLevel::kAvx512},
    {"v41_random_fp8_avx2", "tests/data/v41-random-fp8", "tests/data/v41-random-fp8", kExact, CpuLevel::kAvx2},
    {"v41_random_fp8_published", "tests/data/v41-random-fp8", "tests/data/v41-random-fp8", kPublished,
     CpuLevel::kAvx512},
    {"v4_tiny", "models/v4-tiny", "tests/data/v4-tiny", kExact, CpuLevel::kAvx512},
    {"v4_random_gpu", "tests/data/v4-random", "tests/data/v4-random", kExact, CpuLevel::kAvx512, kGpu},
    {"v4_random_published_gpu", "tests/data/v4-random", "tests/data/v4-random", kPublished, CpuLevel::kAvx512, kGpu},
    {"v4_random_fp8_gpu", "tests/data/v4-random-fp8", "tests/data/v4-random-fp8", kExact, CpuLevel::kAvx512, kGpu},
    {"v4_random_fp8_published_gpu", "tests/data/v4-random-fp8", "tests/data/v4-random-fp8", kPublished,
     CpuLevel::kAvx512, kGpu},
    {"v4_tiny_gpu", "models/v4-tiny", "tests/data/v4-tiny", kExact, CpuLevel::kAvx512, kGpu},
};

INSTANTIATE_TEST_SUITE_P(Models, GoldenVectors, ::testing::ValuesIn(kSetups),
                         [](const auto& test) { return test.param.name; });

class FastMode : public ::testing::TestWithParam<Device::Kind> {};

TEST_P(FastMode, stays_within_the_promised_divergence_on_the_trained_model) {
  if (const std::string why = test::why_skip(GetParam()); !why.empty()) GTEST_SKIP() << why;
  const CompareReport report =
      compared({"", "models/v4-tiny", "tests/data/v4-tiny", NumericMode::kFast, CpuLevel::kAvx512, GetParam()});
  // Design, "Numbers": mean KL of fast against exact at most 2e-3 nats on the trained fixture.
  EXPECT_LE(report.kl_mean, 2e-3);
  EXPECT_TRUE(report.pass);
}

INSTANTIATE_TEST_SUITE_P(Devices, FastMode, ::testing::Values(Device::Kind::kCpu, kGpu),
                         [](const auto& test) { return test.param == kGpu ? "gpu" : "cpu"; });

}  // namespace
}  // namespace hadal
