#include "ops/kv_rows/kv_rows.h"

#include <numeric>

#include "testing/compare.h"
#include "testing/cuda.h"

namespace hadal::ops {
namespace {

class KvRowsCuda : public test::CudaTest {};

TEST_F(KvRowsCuda, rounding_gives_the_bits_of_the_reference) {
  for (const KvRounding rounding : {KvRounding::kE4m3, KvRounding::kHadamardE2m1, KvRounding::kHadamard}) {
    for (const int64_t D : {128, 512}) {
      constexpr int64_t T = 7;
      std::vector<float> x = test::normal_floats(1, T * D, 20);
      std::fill_n(x.begin() + D, D, 0.0f);
      x[static_cast<size_t>(2 * D)] = 0x1p-140f;
      RoundRows op = {.x = memory().put(x), .T = T, .D = D, .x_stride = D, .rope_dim = 64, .rounding = rounding};
      round_rows(gpu(), op);
      const std::vector<float> got = memory().get(op.x, T * D);
      op.x = x.data();
      round_rows_reference(cpu(), op);
      EXPECT_TRUE(test::same_bits(got, x)) << static_cast<int>(rounding) << ", D " << D;
    }
  }
}

TEST_F(KvRowsCuda, rows_are_stored_and_read_as_on_the_cpu) {
  constexpr int64_t T = 9, kRowsOfPage = 4, kPages = 3;
  for (const KvFormat format : {KvFormat::kF32, KvFormat::kBf16, KvFormat::kFp8, KvFormat::kFp4}) {
    const bool is_key = format == KvFormat::kFp4;
    const int64_t D = is_key ? 128 : 512;
    const int64_t rope_dim = is_key ? 0 : 64;
    const int64_t row_bytes = kv_row_bytes(format, D, rope_dim);
    const int64_t page_bytes = kRowsOfPage * row_bytes;
    const std::vector<float> x = test::normal_floats(2, T * D, 5);
    const std::vector<int64_t> slots = {11, 3, 0, 5, -1, 7, 2, 10, 4};

    std::vector<std::byte> want(static_cast<size_t>(kPages * page_bytes), std::byte{0xFF});
    auto* stored = memory().room<std::byte>(kPages * page_bytes);
    std::vector<const std::byte*> cpu_pages, gpu_pages;
    for (int64_t p = 0; p < kPages; ++p) {
      cpu_pages.push_back(want.data() + p * page_bytes);
      gpu_pages.push_back(stored + p * page_bytes);
    }
    const PagedRows on_cpu = {
        .pages = cpu_pages.data(), .rows_per_page = kRowsOfPage, .row_bytes = row_bytes, .format = format};
    PagedRows on_gpu = on_cpu;
    on_gpu.pages = memory().put(gpu_pages);
    encode_rows(
        cpu(),
        {.x = x.data(), .x_stride = D, .to = on_cpu, .slots = slots.data(), .T = T, .D = D, .rope_dim = rope_dim});
    const int64_t* gpu_slots = memory().put(slots);
    encode_rows(
        gpu(),
        {.x = memory().put(x), .x_stride = D, .to = on_gpu, .slots = gpu_slots, .T = T, .D = D, .rope_dim = rope_dim});
    EXPECT_EQ(memory().get(stored, kPages * page_bytes), want) << kv_format_name(format);

    constexpr int64_t kRead = 4;  // before the slot that is none
    std::vector<float> back(static_cast<size_t>(kRead * D));
    decode_rows(cpu(), {.from = on_cpu,
                        .slots = slots.data(),
                        .x = back.data(),
                        .x_stride = D,
                        .T = kRead,
                        .D = D,
                        .rope_dim = rope_dim});
    auto* y = memory().room<float>(kRead * D);
    decode_rows(gpu(),
                {.from = on_gpu, .slots = gpu_slots, .x = y, .x_stride = D, .T = kRead, .D = D, .rope_dim = rope_dim});
    EXPECT_TRUE(test::same_bits(memory().get(y, kRead * D), back)) << kv_format_name(format);
  }
}

TEST_F(KvRowsCuda, a_list_stores_what_one_op_stores) {
  constexpr int64_t D = 512, kRopeDim = 64, kRows = 70;
  const int64_t row_bytes = kv_row_bytes(KvFormat::kFp8, D, kRopeDim);
  std::vector<int64_t> slots(kRows);
  std::iota(slots.rbegin(), slots.rend(), 0);
  const float* x = memory().put(test::normal_floats(1, kRows * D));
  const int64_t* gpu_slots = memory().put(slots);
  const auto stored = [&](const std::vector<int64_t>& lengths) {
    const auto* page = memory().room<std::byte>(kRows * row_bytes);
    const PagedRows to = {.pages = memory().put(std::vector<const std::byte*>{page}),
                          .rows_per_page = kRows,
                          .row_bytes = row_bytes,
                          .format = KvFormat::kFp8};
    std::vector<EncodeRows> ops;
    int64_t row = 0;
    for (const int64_t n : lengths) {
      ops.push_back(
          {.x = x + row * D, .x_stride = D, .to = to, .slots = gpu_slots + row, .T = n, .D = D, .rope_dim = kRopeDim});
      row += n;
    }
    encode_rows(gpu(), ops);
    return memory().get(page, kRows * row_bytes);
  };
  const std::vector<std::byte> want = stored({kRows});
  EXPECT_EQ(stored({0, 60, 10}), want);
  EXPECT_EQ(stored(std::vector<int64_t>(kRows, 1)), want);
}

}  // namespace
}  // namespace hadal::ops
