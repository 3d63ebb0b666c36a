// The files of a model: a folder on disk, a single .safetensors file, or files linked into the binary.
//
// Names are base names: a name with a slash, "..", or a link that leaves the folder is refused, because names come out
// of index files that strangers wrote.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/base_name.h"
#include "base/io.h"
#include "base/result.h"

namespace hadal {

struct EmbeddedFile {
  std::string_view name;
  std::span<const std::byte> bytes;  // lives as long as the program
};

class ModelFiles {
 public:
  // A folder, or one file (then the folder is its parent and only_file() names it). NotFound, Io.
  static Result<ModelFiles> open(const fs::path& path);
  static ModelFiles embedded(std::string_view name, std::span<const EmbeddedFile> files);

  ModelFiles(ModelFiles&&) noexcept;
  ModelFiles& operator=(ModelFiles&&) noexcept;
  ~ModelFiles();

  bool has(std::string_view name) const;
  // The bytes of a file, mapped on first use and kept mapped while this object lives.
  Result<std::span<const std::byte>> map(std::string_view name);
  Result<std::string_view> text(std::string_view name, uint64_t bytes_max);
  std::vector<std::string> names() const;  // sorted base names of regular files

  const std::string& place() const;  // the path as given, or "embedded:v4-tiny"
  bool is_embedded() const;
  std::string only_file() const;  // base name when a single file was given, else empty

 private:
  struct Impl;
  explicit ModelFiles(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal
