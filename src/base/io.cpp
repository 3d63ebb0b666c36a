#include "base/io.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace hadal {
namespace {

Error io_error(std::string_view what, const fs::path& path, int error_number) {
  Error error{.code = error_number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
              .what = std::string(what),
              .in = path.string(),
              .want = "",
              .found = std::strerror(error_number),
              .hint = ""};
  if (error_number == ENOSPC || error_number == EDQUOT) error.hint = "free some space there, or write to another disk";
  if (error_number == EACCES || error_number == EPERM) error.hint = "check who owns it (ls -l)";
  return error;
}

// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

int open_retrying(const fs::path& path, int flags, mode_t mode = 0) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

// O_NONBLOCK: opening a pipe without a writer must not wait for one. Regular files do not care.
Descriptor open_to_read(const fs::path& path) {
  return Descriptor(open_retrying(path, O_RDONLY | O_NONBLOCK));
}

// The size of an open regular file.
Result<uint64_t> regular_size(int fd, const fs::path& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return io_error("cannot look at the file", path, errno);
  if (!S_ISREG(info.st_mode)) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "not a regular file",
                 .in = path.string(),
                 .want = "a file",
                 .found = S_ISDIR(info.st_mode) ? "a directory" : "something else",
                 .hint = ""};
  }
  return static_cast<uint64_t>(info.st_size);
}

Result<void> read_to_end(int fd, const fs::path& path, uint64_t bytes_max, std::string& text) {
  char buffer[1 << 16];
  while (true) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n == 0) return {};
    if (n < 0) {
      if (errno == EINTR) continue;
      return io_error("cannot read", path, errno);
    }
    if (text.size() + static_cast<size_t>(n) > bytes_max) {
      return Error{.code = ErrorCode::kLimit,
                   .what = "input is too long",
                   .in = path.string(),
                   .want = fmt::format("at most {} bytes", bytes_max),
                   .found = "more",
                   .hint = ""};
    }
    text.append(buffer, static_cast<size_t>(n));
  }
}

}  // namespace

Result<uint64_t> file_bytes(const fs::path& path) {
  const Descriptor fd = open_to_read(path);
  if (fd.get() < 0) return io_error("cannot open the file", path, errno);
  return regular_size(fd.get(), path);
}

Result<std::string> read_file(const fs::path& path, uint64_t bytes_max) {
  const Descriptor fd = open_to_read(path);
  if (fd.get() < 0) return io_error("cannot open the file", path, errno);
  HADAL_ASSIGN(const uint64_t size, regular_size(fd.get(), path));
  if (size > bytes_max) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "file is too long",
                 .in = path.string(),
                 .want = fmt::format("at most {} bytes", bytes_max),
                 .found = fmt::format("{} bytes", size),
                 .hint = ""};
  }
  std::string text;
  text.reserve(size);
  HADAL_TRY(read_to_end(fd.get(), path, bytes_max, text));
  return text;
}

Result<std::string> read_stdin(uint64_t bytes_max) {
  std::string text;
  HADAL_TRY(read_to_end(STDIN_FILENO, "standard input", bytes_max, text));
  return text;
}

Result<MappedFile> MappedFile::open(const fs::path& path) {
  const Descriptor fd = open_to_read(path);
  if (fd.get() < 0) return io_error("cannot open the file", path, errno);
  HADAL_ASSIGN(const uint64_t size, regular_size(fd.get(), path));
  MappedFile file;
  file.path_ = path;
  if (size == 0) return file;
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) return io_error("cannot map the file", path, errno);
  // A hint, and free to fail: a file system with large folios then reads pages of 2 MiB and maps them as such, which
  // spares the page walks that cost a sixth of the bandwidth.
  ::madvise(address, size, MADV_HUGEPAGE);
  file.data_ = static_cast<const std::byte*>(address);
  file.size_ = size;
  return file;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Result<AtomicFile> AtomicFile::create(const fs::path& path, bool is_private) {
  AtomicFile file;
  file.path_ = path;
  file.partial_ = path;
  file.partial_ += fmt::format(".partial-{}", ::getpid());
  file.fd_ = open_retrying(file.partial_, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, is_private ? 0600 : 0644);
  if (file.fd_ < 0) return io_error("cannot create the file", file.partial_, errno);
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      partial_(std::move(other.partial_)),
      fd_(std::exchange(other.fd_, -1)),
      written_bytes_(other.written_bytes_) {}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(partial_, other.partial_);
  std::swap(fd_, other.fd_);
  std::swap(written_bytes_, other.written_bytes_);
  return *this;
}

AtomicFile::~AtomicFile() {
  discard();
}

void AtomicFile::discard() {
  if (fd_ < 0) return;
  ::close(std::exchange(fd_, -1));
  ::unlink(partial_.c_str());
}

Result<void> AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return io_error("cannot write", path_, errno);
    }
    bytes = bytes.subspan(static_cast<size_t>(n));
    written_bytes_ += static_cast<uint64_t>(n);
  }
  return {};
}

Result<void> AtomicFile::write(std::string_view text) {
  return write(std::as_bytes(std::span(text)));
}

Result<void> AtomicFile::commit() {
  if (::fsync(fd_) != 0 && errno != EINVAL) return io_error("cannot write", path_, errno);
  if (::close(std::exchange(fd_, -1)) != 0) {
    const Error error = io_error("cannot write", path_, errno);
    ::unlink(partial_.c_str());
    return error;
  }
  if (::rename(partial_.c_str(), path_.c_str()) != 0) {
    const Error error = io_error("cannot rename the finished file", path_, errno);
    ::unlink(partial_.c_str());
    return error;
  }
  return {};
}

}  // namespace hadal
