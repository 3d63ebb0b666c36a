// Memory, copies, graphs and errors of a GPU.

#include "device/mirror.h"
#include "testing/compare.h"
#include "testing/cuda.h"

namespace hadal {
namespace {

class CudaMemoryTest : public test::CudaTest {};

TEST_F(CudaMemoryTest, what_is_uploaded_comes_back_through_pinned_and_plain_memory) {
  const std::vector<float> x = test::normal_floats(1, 100'000);
  float* there = memory().put(x);
  EXPECT_EQ(memory().get(there, 100'000), x);
  auto pinned = gpu().allocate_staging(400'000);
  ASSERT_TRUE(pinned.ok());
  gpu().download(pinned->data(), there, 400'000);
  ASSERT_TRUE(gpu().synchronize().ok());
  EXPECT_TRUE(test::same_bits(std::span<const float>(pinned->as<float>(), x.size()), std::span<const float>(x)));
}

TEST_F(CudaMemoryTest, memory_that_is_not_there_is_refused_with_sizes) {
  const auto refused = gpu().allocate(int64_t{1} << 44);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(refused.error().want, "16.0 TiB");
  EXPECT_NE(refused.error().found.find("free of"), std::string::npos);
  EXPECT_TRUE(gpu().synchronize().ok()) << "the refusal leaves nothing behind";
}

TEST_F(CudaMemoryTest, a_mirror_is_zeros_and_shows_what_the_other_side_wrote) {
  Result<Mirror> mirror = Mirror::allocate(gpu(), 64);
  ASSERT_TRUE(mirror.ok());
  EXPECT_EQ(memory().get(mirror->on_device(), 64), std::vector<std::byte>(64));
  mirror->on_host()[3] = std::byte{5};
  mirror->upload(4);
  gpu().copy(mirror->on_device(), mirror->on_device() + 3, 1);
  mirror->download(4);
  ASSERT_TRUE(gpu().synchronize().ok());
  EXPECT_EQ(mirror->on_host()[0], std::byte{5});
  const auto view = HostView<std::byte>::of(gpu(), mirror->on_device(), 4);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->data()[0], std::byte{5});
}

TEST_F(CudaMemoryTest, a_recorded_graph_runs_when_it_is_launched) {
  auto* there = memory().room<uint8_t>(16);
  auto graph = CudaGraph::record(gpu(), [&] { gpu().fill(there, 7, 16); });
  ASSERT_TRUE(graph.ok());
  EXPECT_EQ(memory().get(there, 16), std::vector<uint8_t>(16, 0xFF));
  ASSERT_TRUE(graph->launch().ok());
  EXPECT_EQ(memory().get(there, 16), std::vector<uint8_t>(16, 7));
}

TEST_F(CudaMemoryTest, an_index_that_no_gpu_has_is_refused) {
  const auto opened = CudaDevice::open({.library = "", .index = 1000});
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace hadal
