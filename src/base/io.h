// Files: read whole, map, write so that a half-written file is never seen. All errors name the path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hadal {

namespace fs = std::filesystem;

// The whole file as text; Limit when it is longer than bytes_max, checked before anything is read.
Result<std::string> read_file(const fs::path& path, uint64_t bytes_max);

Result<uint64_t> file_bytes(const fs::path& path);

// A file mapped read-only. Move-only; unmaps when destroyed. An empty file maps to an empty span. Reading what lay
// behind the end of a file that became shorter meanwhile raises SIGBUS; mapped_file_at() tells its handler the file.
class MappedFile {
 public:
  static Result<MappedFile> open(const fs::path& path);

  MappedFile() = default;
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// The path of the mapped file that the address lies in, at most its last 255 bytes; null when it lies in none.
// Async-signal-safe. The text is valid as long as the file is mapped.
const char* mapped_file_at(const void* address);

// Where bytes go. Tests give a sink that is full, slow or broken.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  [[nodiscard]] virtual Result<void> write(std::span<const std::byte> bytes) = 0;
};

// Writes to PATH.partial-PID and renames it over PATH in commit(). Without commit (error, exception, early return) the
// partial file is removed and PATH is as it was. Mode 0600 when `is_private`.
class AtomicFile final : public ByteSink {
 public:
  static Result<AtomicFile> create(const fs::path& path, bool is_private = false);

  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  ~AtomicFile() override;

  [[nodiscard]] Result<void> write(std::span<const std::byte> bytes) override;
  [[nodiscard]] Result<void> write(std::string_view text);
  // Flushes to the disk, then renames.
  [[nodiscard]] Result<void> commit();
  uint64_t written_bytes() const { return written_bytes_; }

 private:
  AtomicFile() = default;
  void discard();

  fs::path path_;
  fs::path partial_;
  int fd_ = -1;
  uint64_t written_bytes_ = 0;
};

// Reads standard input to its end; Limit beyond bytes_max.
Result<std::string> read_stdin(uint64_t bytes_max);

}  // namespace hadal
