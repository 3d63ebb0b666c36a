// What a program without a usable GPU says.
#include "device/cuda/cuda_device.h"

#include <gtest/gtest.h>

namespace hadal {
namespace {

TEST(CudaDevice, a_missing_library_is_named_with_what_to_do) {
  const auto opened = CudaDevice::open({.library = "/nowhere/libhadal_cuda.so"});
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(opened.error().in, "/nowhere/libhadal_cuda.so");
  EXPECT_NE(opened.error().hint.find("cmake --preset cuda"), std::string::npos);
}

TEST(CudaDevice, another_library_is_refused) {
  const auto opened = CudaDevice::open({.library = "libm.so.6"});
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(opened.error().found, "no Hadal library");
}

TEST(CudaDevice, a_cpu_is_no_gpu) {
  CpuDevice cpu({.n_threads = 1});
  EXPECT_EQ(cuda_or_null(cpu), nullptr);
}

}  // namespace
}  // namespace hadal
