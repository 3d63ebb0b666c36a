#include "device/disk_speed.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "device/buffer.h"

namespace hadal {
namespace {

// Large enough that the disk's latency (0.1 ms) hides behind the transfer at 7 GB/s.
constexpr uint64_t kBlockBytes = uint64_t{4} << 20;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Error io_error(const fs::path& path, std::string what) {
  return Error{.code = errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
               .what = std::move(what),
               .in = path.string(),
               .want = "a file, or a folder with files, that can be read",
               .found = std::strerror(errno),
               .hint = ""};
}

Result<fs::path> largest_file(const fs::path& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return path;
  fs::directory_iterator entries(path, error);
  if (error) {
    errno = error.value();
    return io_error(path, "cannot look into the folder");
  }
  fs::path largest;
  uintmax_t largest_bytes = 0;
  for (const fs::directory_entry& entry : entries) {
    if (!entry.is_regular_file(error)) continue;
    const uintmax_t bytes = entry.file_size(error);
    if (error || bytes <= largest_bytes) continue;
    largest = entry.path();
    largest_bytes = bytes;
  }
  if (!largest.empty()) return largest;
  errno = ENOENT;
  return io_error(path, "there is no file to read");
}

}  // namespace

Result<DiskSpeed> measure_disk_read(const fs::path& path, const DiskSpeedOptions& options) {
  HADAL_ASSIGN(const fs::path file, largest_file(path));
  DiskSpeed speed{.file = file.string()};
#if defined(O_DIRECT)
  int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
  speed.is_direct = fd >= 0;
#else
  int fd = -1;
#endif
  if (fd < 0) fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  const FileDescriptor descriptor(fd);
  if (fd < 0) return io_error(file, "cannot open the file");
  if (!speed.is_direct) ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  HADAL_ASSIGN(const Buffer block, Buffer::allocate(kBlockBytes));  // page-aligned, as O_DIRECT wants it
  const double begin_s = options.now_s();
  while (speed.bytes < options.bytes_max && speed.seconds < options.seconds_max) {
    const ssize_t n = ::pread(fd, block.data(), kBlockBytes, static_cast<off_t>(speed.bytes));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error(file, "cannot read the file");
    speed.bytes += static_cast<uint64_t>(n);
    speed.seconds = options.now_s() - begin_s;
    if (static_cast<uint64_t>(n) < kBlockBytes) break;
  }
  return speed;
}

}  // namespace hadal
