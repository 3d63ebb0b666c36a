#include "formats/model_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <system_error>

#include "base/format.h"
#include "base/json.h"

namespace hadal {

struct ModelFiles::Impl {
  std::string place;
  fs::path folder;        // empty when embedded
  std::string only_file;  // base name of the one file that the user named
  std::span<const EmbeddedFile> embedded;
  std::map<std::string, MappedFile, std::less<>> mapped;

  const EmbeddedFile* find_embedded(std::string_view name) const {
    const auto found =
        std::find_if(embedded.begin(), embedded.end(), [&](const EmbeddedFile& f) { return f.name == name; });
    return found == embedded.end() ? nullptr : &*found;
  }
};

namespace {

Error refused(std::string what, const fs::path& in, std::string want, std::string found) {
  return Error{.code = ErrorCode::kInvalid,
               .what = std::move(what),
               .in = in.string(),
               .want = std::move(want),
               .found = std::move(found),
               .hint = ""};
}

bool is_inside(const fs::path& file, const fs::path& folder) {
  const auto [folder_end, file_at] = std::mismatch(folder.begin(), folder.end(), file.begin(), file.end());
  return folder_end == folder.end();
}

// A link may not leave the folder: a model that strangers packed could point at /etc. One layout is known to be
// harmless and everywhere: the hub cache, where snapshots/REVISION/NAME points into blobs/ beside snapshots/.
Result<void> check_link(const fs::path& folder, const fs::path& file) {
  std::error_code error;
  const fs::path real_folder = fs::canonical(folder, error);
  if (error) return refused("cannot resolve the folder", folder, "", error.message());
  const fs::path real_file = fs::canonical(file, error);
  if (error) return refused("cannot resolve the link", file, "", error.message());
  if (is_inside(real_file, real_folder)) return {};
  const fs::path snapshots = real_folder.parent_path();
  if (snapshots.filename() == "snapshots" && real_file.parent_path() == snapshots.parent_path() / "blobs") return {};
  return refused("link leaves the model's folder", file, "a file in " + real_folder.string(), real_file.string());
}

}  // namespace

ModelFiles::ModelFiles(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ModelFiles::ModelFiles(ModelFiles&&) noexcept = default;
ModelFiles& ModelFiles::operator=(ModelFiles&&) noexcept = default;
ModelFiles::~ModelFiles() = default;

Result<ModelFiles> ModelFiles::open(const fs::path& path) {
  auto impl = std::make_unique<Impl>();
  impl->place = path.string();
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    return Error{.code = ErrorCode::kNotFound,
                 .what = "no such model",
                 .in = path.string(),
                 .want = "a folder with config.json and .safetensors files, or one .safetensors or .gguf file",
                 .found = error && status.type() == fs::file_type::none ? error.message() : "nothing",
                 .hint = ""};
  }
  if (fs::is_directory(status)) {
    impl->folder = path;
  } else if (fs::is_regular_file(status)) {
    impl->only_file = path.filename().string();
    impl->folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  } else {
    return refused("not a model", path, "a folder or a file", "something else");
  }
  return ModelFiles(std::move(impl));
}

ModelFiles ModelFiles::embedded(std::string_view name, std::span<const EmbeddedFile> files) {
  auto impl = std::make_unique<Impl>();
  impl->place = fmt::format("embedded:{}", name);
  impl->embedded = files;
  return ModelFiles(std::move(impl));
}

bool ModelFiles::has(std::string_view name) const {
  if (!is_base_name(name)) return false;
  if (is_embedded()) return impl_->find_embedded(name) != nullptr;
  std::error_code error;
  return fs::is_regular_file(impl_->folder / name, error);
}

Result<std::span<const std::byte>> ModelFiles::map(std::string_view name) {
  if (!is_base_name(name)) {
    return refused("not the name of a file in the model's folder", impl_->place, "no /, \\, .. or control characters",
                   json::excerpt(name));
  }
  if (is_embedded()) {
    if (const EmbeddedFile* file = impl_->find_embedded(name)) return file->bytes;
  } else if (const auto known = impl_->mapped.find(name); known != impl_->mapped.end()) {
    return known->second.bytes();
  }
  if (!has(name)) {
    return Error{.code = ErrorCode::kNotFound,
                 .what = "the model lacks a file",
                 .in = impl_->place,
                 .want = std::string(name),
                 .found = "no such file",
                 .hint = ""};
  }
  const fs::path file = impl_->folder / name;
  // The user chose the one file; the others are chosen by what it and its neighbours say.
  if (name != impl_->only_file) HADAL_TRY(check_link(impl_->folder, file));
  HADAL_ASSIGN(MappedFile mapped, MappedFile::open(file));
  return impl_->mapped.emplace(std::string(name), std::move(mapped)).first->second.bytes();
}

Result<std::string_view> ModelFiles::text(std::string_view name, uint64_t bytes_max) {
  HADAL_ASSIGN(const std::span<const std::byte> bytes, map(name));
  if (bytes.size() > bytes_max) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "file is too long",
                 .in = fmt::format("{}/{}", impl_->place, name),
                 .want = fmt::format("at most {}", format_bytes(bytes_max)),
                 .found = format_bytes(bytes.size()),
                 .hint = ""};
  }
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::vector<std::string> ModelFiles::names() const {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : impl_->embedded) names.emplace_back(file.name);
  if (!is_embedded()) {
    std::error_code error;
    for (fs::directory_iterator at(impl_->folder, error), end; !error && at != end; at.increment(error)) {
      std::error_code ignored;
      if (at->is_regular_file(ignored)) names.push_back(at->path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

const std::string& ModelFiles::place() const {
  return impl_->place;
}
bool ModelFiles::is_embedded() const {
  return impl_->folder.empty();
}
std::string ModelFiles::only_file() const {
  return impl_->only_file;
}

}  // namespace hadal
