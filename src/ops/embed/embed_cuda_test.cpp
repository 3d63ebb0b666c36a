#include "ops/embed/embed.h"

#include "testing/compare.h"
#include "testing/cuda.h"

namespace hadal::ops {
namespace {

class EmbedCuda : public test::CudaTest {};

TEST_F(EmbedCuda, gives_the_bits_of_the_reference) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kF8E4M3, DType::kF4E2M1}) {
    constexpr int64_t V = 300, C = 4096, T = 4, n = 4;
    const test::QuickMatrix table(1, dtype, V, C);
    const std::vector<int32_t> ids = {299, 0, 17, 17};
    std::vector<float> want(T * n * C);
    embed_reference(cpu(), {.table = table.weight, .ids = ids.data(), .x = want.data(), .T = T, .n = n});
    auto* x = memory().room<float>(T * n * C);
    embed(gpu(), {.table = memory().put(table.weight), .ids = memory().put(ids), .x = x, .T = T, .n = n});
    EXPECT_TRUE(test::same_bits(memory().get(x, T * n * C), want)) << dtype_name(dtype);
  }
}

}  // namespace
}  // namespace hadal::ops
