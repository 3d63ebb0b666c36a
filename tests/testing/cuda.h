// What tests and benchmarks of CUDA ops share: the GPU, numbers on it, and quickly made random matrices.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "device/cuda/cuda_device.h"
#include "device/tensor.h"

namespace hadal::test {

// The GPU of this process, or why there is none.
inline Result<CudaDevice*> cuda_device() {
  static Result<std::unique_ptr<CudaDevice>> device = CudaDevice::open({});
  if (!device.ok()) return device.error();
  return device->get();
}

// Why a test on this kind of device must be skipped; empty: it need not.
inline std::string why_skip(Device::Kind kind) {
  const Result<CudaDevice*> gpu = cuda_device();
  return kind == Device::Kind::kCpu || gpu.ok() ? "" : gpu.error().to_string();
}

// Buffers that live as long as this object; errors stop the program, since tests cannot go on without memory.
class CudaMemory {
 public:
  explicit CudaMemory(CudaDevice& device) : device_(device) {}

  template <class T>
  T* room(int64_t n) {
    const int64_t bytes = std::max<int64_t>(n, 1) * int64_t{sizeof(T)};
    Result<Buffer> buffer = device_.allocate(bytes);
    check(buffer.ok() ? Result<void>() : Result<void>(buffer.error()));
    T* data = buffer->as<T>();
    // What an op forgets to write shows as NaN.
    device_.fill(data, 0xFF, bytes);
    buffers_.push_back(std::move(*buffer));
    return data;
  }

  template <class Values>
  auto* put(const Values& values) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(std::data(values))>>;
    T* data = room<T>(static_cast<int64_t>(std::size(values)));
    device_.upload(data, std::data(values), static_cast<int64_t>(std::size(values) * sizeof(T)));
    check(device_.synchronize());
    return data;
  }

  template <class T>
  std::vector<T> get(const T* data, int64_t n) {
    std::vector<T> values(static_cast<size_t>(n));
    device_.download(values.data(), data, n * int64_t{sizeof(T)});
    check(device_.synchronize());
    return values;
  }

  Weight put(const Weight& w) {
    Weight on_gpu = w;
    on_gpu.data = put(std::span(w.data, static_cast<size_t>(w.rows * w.row_bytes())));
    if (w.scale != nullptr) {
      const int64_t blocks = (w.rows + w.scale_rows - 1) / w.scale_rows * w.scale_stride();
      on_gpu.scale = put(std::span(w.scale, static_cast<size_t>(blocks * dtype_bits(w.scale_dtype) / 8)));
    }
    return on_gpu;
  }

 private:
  static void check(const Result<void>& result) {
    if (result.ok()) return;
    std::fprintf(stderr, "%s\n", result.error().to_string().c_str());
    std::exit(1);
  }

  CudaDevice& device_;
  std::vector<Buffer> buffers_;
};

// A test with a GPU and a CPU to compare it with; skipped, with the reason, where there is no GPU.
class CudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const Result<CudaDevice*> opened = cuda_device();
    if (!opened.ok()) GTEST_SKIP() << opened.error().to_string();
    gpu_ = *opened;
    memory_ = std::make_unique<CudaMemory>(*gpu_);
  }
  CudaDevice& gpu() { return *gpu_; }
  CudaMemory& memory() { return *memory_; }
  CpuDevice& cpu() { return cpu_; }

 private:
  CudaDevice* gpu_ = nullptr;
  std::unique_ptr<CudaMemory> memory_;
  CpuDevice cpu_{{}};
};

// A stored matrix whose bytes come straight from the generator: millions of weights in milliseconds. Magnitudes from
// 1/4 to 6, both signs; scales of FP8 and FP4 from 2^-3 to 2^1.
struct QuickMatrix {
  std::vector<std::byte> data;
  std::vector<std::byte> scales;
  Weight weight;

  QuickMatrix(uint64_t seed, DType dtype, int64_t rows, int64_t cols) {
    weight = {.dtype = dtype, .rows = rows, .cols = cols};
    std::mt19937_64 random(seed);
    data.resize(static_cast<size_t>(rows * weight.row_bytes()));
    for (size_t i = 0; i < data.size(); i += 8) {
      const uint64_t word = tame(dtype, random());
      std::memcpy(data.data() + i, &word, std::min<size_t>(8, data.size() - i));
    }
    weight.data = data.data();
    if (dtype != DType::kF8E4M3 && dtype != DType::kF4E2M1) return;
    weight.scale_rows = dtype == DType::kF8E4M3 ? 128 : 1;
    weight.scale_cols = dtype == DType::kF8E4M3 ? 128 : 32;
    const int64_t blocks =
        (rows + weight.scale_rows - 1) / weight.scale_rows * ((cols + weight.scale_cols - 1) / weight.scale_cols);
    scales.resize(static_cast<size_t>(blocks));
    for (std::byte& s : scales) s = static_cast<std::byte>(124 + random() % 5);
    weight.scale = scales.data();
  }

 private:
  // Random bits as numbers of moderate size: the exponent keeps two random bits, its others are those of 1/4 to 2.
  static uint64_t tame(DType dtype, uint64_t bits) {
    switch (dtype) {
      case DType::kF32:
        return (bits & 0x80FFFFFF80FFFFFF) | 0x3E8000003E800000;
      case DType::kBF16:
        return (bits & 0x80FF80FF80FF80FF) | 0x3E803E803E803E80;
      case DType::kF16:
        return (bits & 0x87FF87FF87FF87FF) | 0x3000300030003000;
      case DType::kF8E4M3:
        return (bits & 0x8F8F8F8F8F8F8F8F) | 0x2828282828282828;
      default:
        return bits;
    }
  }
};

inline std::vector<float> normal_floats(uint64_t seed, int64_t n, float deviation = 1) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = normal(generator);
  return values;
}

}  // namespace hadal::test
