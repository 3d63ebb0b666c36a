// BF16 rows of 4096 into 4 streams; bytes are mostly the 64 KiB written per token.
#include "ops/embed/embed.h"
#include "testing/op_bench.h"

namespace hadal::ops {
namespace {

constexpr int64_t kHidden = 4096;
constexpr int64_t kStreams = 4;
constexpr int64_t kVocab = 4096;

struct Problem {
  std::vector<std::byte> table;
  std::vector<int32_t> ids;
  std::vector<float> x;
  Embed op;

  explicit Problem(int64_t T)
      : table(static_cast<size_t>(kVocab * kHidden * 2)), x(static_cast<size_t>(T * kStreams * kHidden)) {
    for (int64_t t = 0; t < T; ++t) ids.push_back(static_cast<int32_t>(t * 2477 % kVocab));
    op = {.table = {.dtype = DType::kBF16, .rows = kVocab, .cols = kHidden, .data = table.data()},
          .ids = ids.data(),
          .x = x.data(),
          .T = T,
          .n = kStreams};
  }
};

[[maybe_unused]] const bool kRegistered = [] {
  static constexpr Version<Embed> kReference[] = {{CpuLevel::kPortable, embed_reference}};
  for (const int64_t T : {1, 512}) {
    const std::string shape = "T" + std::to_string(T) + "_n4_C4096";
    const test::Work work{.bytes = static_cast<double>(T * kHidden * (2 + 4 * kStreams))};
    test::register_op("embed", shape, embed_versions(), work, [=] { return Problem(T); });
    test::register_op("embed_reference", shape, std::span<const Version<Embed>>(kReference), work,
                      [=] { return Problem(T); });
  }
  return true;
}();

}  // namespace
}  // namespace hadal::ops
