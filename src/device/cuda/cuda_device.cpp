#include "device/cuda/cuda_device.h"

#include <fmt/format.h>

#include <cstring>

#include "base/check.h"
#include "base/format.h"

namespace hadal {
namespace {

// Ampere: BF16 tensor cores and cp.async. Older GPUs have no kernel that loads.
constexpr int kComputeCapabilityMin = 80;

std::string describe(const CudaStatus& status) {
  std::string text = fmt::format("{} ({})", status.text, status.name);
  if (status.where[0] != '\0') text += fmt::format(" in {}", status.where);
  return text;
}

Error no_device(const CudaStatus& status, int n, int index) {
  Error error{.code = ErrorCode::kNotFound,
              .what = "no such GPU",
              .in = fmt::format("GPU {}", index),
              .want = "",
              .found = "",
              .hint = ""};
  if (status.code == kCudaErrorInsufficientDriver) {
    error.code = ErrorCode::kUnsupported;
    error.what = "no NVIDIA driver, or one that is too old";
    error.want = "a driver for CUDA 13 (branch 580 or newer)";
    error.hint = "install or update the NVIDIA driver; `nvidia-smi` shows which one runs";
  } else if (status.ok() || status.code == kCudaErrorNoDevice) {
    error.found = n == 0 ? "no GPU" : fmt::format("{} GPU{}", n, n == 1 ? "" : "s, counted from 0");
    error.hint = "`nvidia-smi` lists what the driver sees; CUDA_VISIBLE_DEVICES may hide some";
    return error;
  }
  error.found = describe(status);
  return error;
}

}  // namespace

CudaDevice* cuda_or_null(Device& device) {
  return device.kind() == Device::Kind::kCuda ? static_cast<CudaDevice*>(&device) : nullptr;
}

Result<std::unique_ptr<CudaDevice>> CudaDevice::open(const Options& options) {
  HADAL_ASSIGN(const CudaLibrary library, CudaLibrary::load(options.library));
  const CudaApi& api = library.api();
  int n = 0;
  if (const CudaStatus status = api.count_devices(&n); !status.ok() || options.index < 0 || options.index >= n) {
    return no_device(status, n, options.index);
  }
  CudaProperties properties;
  if (const CudaStatus status = api.properties(options.index, &properties); !status.ok()) {
    return no_device(status, n, options.index);
  }
  if (properties.compute_capability < kComputeCapabilityMin) {
    return Error{.code = ErrorCode::kUnsupported,
                 .what = "the GPU is too old",
                 .in = fmt::format("GPU {}: {}", options.index, properties.name),
                 .want = "compute capability 8.0 (Ampere) or newer",
                 .found = fmt::format("{}.{}", properties.compute_capability / 10, properties.compute_capability % 10),
                 .hint = "use the CPU"};
  }
  CudaContext* context = nullptr;
  if (const CudaStatus status = api.open(options.index, &context); !status.ok()) {
    return Error{.code = ErrorCode::kIo,
                 .what = "cannot use the GPU",
                 .in = fmt::format("GPU {}: {}", options.index, properties.name),
                 .want = "",
                 .found = describe(status),
                 .hint = "another program may hold it, or `nvidia-smi` may show why"};
  }
  return std::make_unique<CudaDevice>(Opened{api, context, properties});
}

CudaDevice::~CudaDevice() {
  api_.close(context_);
}

Result<void> CudaDevice::result_of(const CudaStatus& status, const char* what) const {
  if (status.ok()) return {};
  return Error{.code = ErrorCode::kIo,
               .what = what,
               .in = properties_.name,
               .want = "",
               .found = describe(status),
               .hint = "`nvidia-smi` and the system's log say whether the GPU is well"};
}

Result<Device::MemoryLeft> CudaDevice::memory_left() const {
  MemoryLeft left{};
  HADAL_TRY(result_of(api_.memory_left(context_, &left.free_bytes, &left.total_bytes), "the GPU does not answer"));
  return left;
}

void CudaDevice::note(const CudaStatus& status, const char* what) {
  if (!status.ok() && noted_.ok()) noted_ = result_of(status, what);
}

void CudaDevice::upload(void* to, const void* from_host, int64_t bytes) {
  note(api_.upload(context_, to, from_host, bytes), "cannot copy to the GPU");
}
void CudaDevice::download(void* to_host, const void* from, int64_t bytes) {
  note(api_.download(context_, to_host, from, bytes), "cannot copy from the GPU");
}
void CudaDevice::copy(void* to, const void* from, int64_t bytes) {
  note(api_.copy(context_, to, from, bytes), "cannot copy on the GPU");
}
void CudaDevice::fill(void* memory, uint8_t value, int64_t bytes) {
  note(api_.fill(context_, memory, value, bytes), "cannot write memory of the GPU");
}
Result<void> CudaDevice::synchronize() {
  note(api_.synchronize(context_), "work on the GPU failed");
  return std::exchange(noted_, Result<void>());
}

// --- memory ----------------------------------------------------------------------------------------------------------

Error CudaDevice::no_memory(int64_t bytes, const CudaStatus& status, const char* what, const char* hint) const {
  const bool is_full = status.code == kCudaErrorOutOfMemory;
  return Error{.code = is_full ? ErrorCode::kOutOfMemory : ErrorCode::kIo,
               .what = what,
               .in = properties_.name,
               .want = format_bytes(static_cast<uint64_t>(bytes)),
               .found = describe(status),
               .hint = is_full ? hint : ""};
}

Result<Buffer> CudaDevice::allocate(int64_t bytes) {
  if (bytes == 0) return Buffer();
  void* memory = nullptr;
  if (const CudaStatus status = api_.allocate(context_, bytes, &memory); !status.ok()) {
    Error error = no_memory(bytes, status, "cannot allocate memory of the GPU",
                            "choose a shorter context (--context), or close other programs that use the GPU");
    if (const auto left = memory_left(); left.ok() && error.code == ErrorCode::kOutOfMemory) {
      error.found = fmt::format("{} free of {}", format_bytes(static_cast<uint64_t>(left->free_bytes)),
                                format_bytes(static_cast<uint64_t>(left->total_bytes)));
    }
    return error;
  }
  fill(memory, 0, bytes);
  const auto release = [](void* owner, std::byte* data, uint64_t) {
    const auto& device = *static_cast<CudaDevice*>(owner);
    device.api_.free(device.context_, data);
  };
  return Buffer(static_cast<std::byte*>(memory), static_cast<uint64_t>(bytes), release, this);
}

Result<Buffer> CudaDevice::allocate_staging(int64_t bytes) {
  if (bytes == 0) return Buffer();
  void* memory = nullptr;
  if (const CudaStatus status = api_.allocate_pinned(context_, bytes, &memory); !status.ok()) {
    return no_memory(bytes, status, "cannot allocate pinned memory",
                     "raise the limit of locked memory (`ulimit -l`), or close other programs");
  }
  std::memset(memory, 0, static_cast<size_t>(bytes));
  const auto release = [](void* owner, std::byte* data, uint64_t) {
    const auto& device = *static_cast<CudaDevice*>(owner);
    device.api_.free_pinned(device.context_, data);
  };
  return Buffer(static_cast<std::byte*>(memory), static_cast<uint64_t>(bytes), release, this);
}

// --- graphs ----------------------------------------------------------------------------------------------------------

namespace {

Error graph_error(CudaDevice& device, const CudaStatus& status) {
  return Error{.code = ErrorCode::kIo,
               .what = "a recorded step cannot run on the GPU",
               .in = device.properties().name,
               .want = "",
               .found = describe(status),
               .hint = ""};
}

}  // namespace

Result<void> CudaGraph::begin(CudaDevice& device) {
  if (const CudaStatus status = device.api().begin_graph(device.context()); !status.ok()) {
    return graph_error(device, status);
  }
  return {};
}

Result<CudaGraph> CudaGraph::end(CudaDevice& device) {
  CudaGraph graph;
  if (const CudaStatus status = device.api().end_graph(device.context(), &graph.exec_); !status.ok()) {
    return graph_error(device, status);
  }
  graph.device_ = &device;
  return graph;
}

CudaGraph::~CudaGraph() {
  if (exec_ != nullptr) device_->api().destroy_graph(device_->context(), exec_);
}

Result<void> CudaGraph::launch() {
  if (const CudaStatus status = device_->api().launch_graph(device_->context(), exec_); !status.ok()) {
    return graph_error(*device_, status);
  }
  return {};
}

}  // namespace hadal
