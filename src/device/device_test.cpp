// Memory of the processor as a device, which the forward pass uses like any other's.
#include "device/device.h"

#include <gtest/gtest.h>

#include <cstring>

#include "device/mirror.h"
#include "device/open_device.h"

namespace hadal {
namespace {

TEST(CpuDevice, memory_is_zeros_and_copies_are_done_when_they_return) {
  CpuDevice cpu({.n_threads = 1});
  Result<Buffer> a = cpu.allocate(64);
  Result<Buffer> b = cpu.allocate(64);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(std::to_integer<int>(a->data()[63]), 0);
  cpu.fill(a->data(), 7, 64);
  cpu.copy(b->data(), a->data(), 32);
  EXPECT_EQ(std::memcmp(a->data(), b->data(), 32), 0);
  EXPECT_EQ(std::to_integer<int>(b->data()[32]), 0);
  EXPECT_TRUE(cpu.synchronize().ok());
}

TEST(Buffer, nothing_was_asked_for_nothing_is_held) {
  const Result<Buffer> none = Buffer::allocate(0);
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->data(), nullptr);
}

TEST(Buffer, more_than_the_system_has_is_refused_with_the_size) {
  const Result<Buffer> refused = Buffer::allocate(uint64_t{1} << 62);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(refused.error().want, "4096.0 PiB");
}

TEST(Mirror, is_one_memory_on_the_processor) {
  CpuDevice cpu({.n_threads = 1});
  Result<Mirror> mirror = Mirror::allocate(cpu, 16);
  ASSERT_TRUE(mirror.ok());
  EXPECT_EQ(mirror->on_host(), mirror->on_device());
  const auto view = HostView<std::byte>::of(cpu, mirror->on_device(), 16);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->data(), mirror->on_host());
}

TEST(DeviceChoice, names_are_cpu_cuda_and_the_number_of_a_gpu) {
  EXPECT_EQ(parse_device("cpu")->kind, Device::Kind::kCpu);
  EXPECT_EQ(parse_device("cuda")->kind, Device::Kind::kCuda);
  EXPECT_EQ(parse_device("cuda:3")->index, 3);
  for (const char* name : {"cpu", "cuda", "cuda:3"}) EXPECT_EQ(device_name(*parse_device(name)), name);
  for (const char* name : {"", "gpu", "cuda:", "cuda3", "cuda:-1", "cuda:1x", "cuda:99999999999", "CUDA"}) {
    EXPECT_FALSE(parse_device(name)) << name;
  }
}

}  // namespace
}  // namespace hadal
