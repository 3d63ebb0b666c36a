// Finding and opening libhadal_cuda.so.

#include <dlfcn.h>

#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "device/cuda/cuda_device.h"

namespace hadal {
namespace {

constexpr const char* kFileName = "libhadal_cuda.so";

// Where the library may lie, seen from the folder of the running program: the build folder, or an installed tree. The
// system's search path is left out: a library from elsewhere would be of another build.
std::string find_beside_program(std::string& searched) {
  constexpr std::array<std::string_view, 4> kFolders = {".", "..", "../lib/hadal", "../lib"};
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  for (const std::string_view folder : kFolders) {
    const std::filesystem::path path = (program.parent_path() / folder / kFileName).lexically_normal();
    if (std::filesystem::exists(path, error)) return path.string();
    searched += (searched.empty() ? "" : ", ") + path.string();
  }
  return "";
}

}  // namespace

Result<CudaLibrary> CudaLibrary::load(const std::string& path) {
  std::string searched;
  const std::string file = path.empty() ? find_beside_program(searched) : path;
  if (file.empty()) {
    return Error{.code = ErrorCode::kNotFound,
                 .what = "the CUDA part of Hadal is not installed",
                 .in = "",
                 .want = searched,
                 .found = "no such file",
                 .hint = "build it with `cmake --preset cuda`, or put libhadal_cuda.so beside the program"};
  }
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return Error{.code = ErrorCode::kNotFound,
                 .what = "cannot load the CUDA part of Hadal",
                 .in = file,
                 .want = "",
                 .found = ::dlerror(),
                 .hint = "build it with `cmake --preset cuda`"};
  }
  const auto get_api = reinterpret_cast<GetCudaApi>(::dlsym(library, kCudaApiSymbol));
  const CudaApi* api = get_api == nullptr ? nullptr : get_api();
  // Structs of ops cross the border, so the same version of the table is not enough.
  if (api == nullptr || api->version != kCudaApiVersion || std::string_view(api->build) != HADAL_BUILD) {
    Error error{.code = ErrorCode::kUnsupported,
                .what = "the CUDA part of Hadal is of another build",
                .in = file,
                .want = HADAL_BUILD,
                .found = api == nullptr ? "no Hadal library" : "",
                .hint = "build and install both together"};
    if (api != nullptr) error.found = api->version == kCudaApiVersion ? api->build : "another interface";
    ::dlclose(library);
    return error;
  }
  CudaLibrary loaded;
  loaded.api_ = api;
  return loaded;
}

}  // namespace hadal
