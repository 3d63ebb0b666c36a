#include "hub/partial_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "base/format.h"
#include "base/hash.h"
#include "base/io.h"

namespace hadal::hub {
namespace {

// 2^40 bytes in blocks of 8 MiB are 131,072 lines of at most 7 bytes.
constexpr uint64_t kJournalBytesMax = 4 << 20;

Error io_error(std::string what, const fs::path& path, int error_number) {
  const bool is_full = error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
  return {.code = ErrorCode::kIo,
          .what = is_full ? "not enough space on the disk" : std::move(what),
          .in = path.string(),
          .want = "",
          .found = std::strerror(error_number),
          .hint = is_full ? "free some space and pull again: what is here is kept" : ""};
}

fs::path part_path(const fs::path& folder, const HubFile& file) {
  return folder / (file.name + ".part");
}
fs::path journal_path(const fs::path& folder, const HubFile& file) {
  return folder / (file.name + ".part.blocks");
}

size_t n_blocks_of(const HubFile& file, uint64_t block_bytes) {
  return static_cast<size_t>((file.bytes + block_bytes - 1) / block_bytes);
}

std::string journal_header(const HubFile& file, uint64_t block_bytes) {
  return fmt::format("hadal-blocks 1 {} {} {}\n", file.bytes, block_bytes, expected_checksum(file));
}

// Marks the blocks that the journal's complete lines name.
void mark_blocks(std::string_view lines, std::vector<bool>& blocks) {
  for (size_t end = lines.find('\n'); end != lines.npos; end = lines.find('\n')) {
    size_t block = 0;
    const auto [stop, problem] = std::from_chars(lines.data(), lines.data() + end, block);
    if (problem == std::errc() && stop == lines.data() + end && block < blocks.size()) blocks[block] = true;
    lines.remove_prefix(end + 1);
  }
}

bool is_journal_of(const fs::path& folder, const HubFile& file, uint64_t block_bytes, std::string& lines) {
  std::error_code ignored;
  const fs::path part = part_path(folder, file);
  if (!fs::is_regular_file(fs::symlink_status(part, ignored)) || fs::file_size(part, ignored) != file.bytes)
    return false;
  Result<std::string> text = read_file(journal_path(folder, file), kJournalBytesMax);
  const std::string header = journal_header(file, block_bytes);
  if (!text.ok() || !text->starts_with(header)) return false;
  lines = text->substr(header.size());
  return true;
}

int open_file(const fs::path& path, int flags) {
  return ::open(path.c_str(), flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
}

// Hashers of both kinds behind one face.
class FileHasher {
 public:
  explicit FileHasher(const HubFile& file) {
    if (file.sha256.empty()) git_.emplace(file.bytes);
  }
  void update(std::span<const std::byte> bytes) { git_ ? git_->update(bytes) : sha256_.update(bytes); }
  std::string finish() { return git_ ? to_hex(git_->finish()) : to_hex(sha256_.finish()); }

 private:
  Sha256Hasher sha256_;
  std::optional<GitBlobHasher> git_;
};

}  // namespace

const std::string& expected_checksum(const HubFile& file) {
  return file.sha256.empty() ? file.git_sha1 : file.sha256;
}

std::string checksum_of(const HubFile& file, std::string_view bytes) {
  FileHasher hasher(file);
  hasher.update(std::as_bytes(std::span(bytes)));
  return hasher.finish();
}

void sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);  // not every file system can; the data itself was synced
  ::close(fd);
}

bool is_finished(const fs::path& folder, const HubFile& file) {
  std::error_code ignored;
  const fs::path path = folder / file.name;
  return fs::is_regular_file(fs::symlink_status(path, ignored)) && fs::file_size(path, ignored) == file.bytes;
}

std::vector<bool> blocks_here(const fs::path& folder, const HubFile& file, uint64_t block_bytes) {
  std::vector<bool> blocks(n_blocks_of(file, block_bytes), is_finished(folder, file));
  std::string lines;
  if (is_journal_of(folder, file, block_bytes, lines)) mark_blocks(lines, blocks);
  return blocks;
}

Result<PartialFile> PartialFile::open(const fs::path& folder, const HubFile& file, uint64_t block_bytes) {
  PartialFile partial;
  partial.folder_ = folder;
  partial.file_ = file;
  std::string lines;
  const bool goes_on = is_journal_of(folder, file, block_bytes, lines);
  const fs::path part = part_path(folder, file);
  const fs::path journal = journal_path(folder, file);
  // The old journal goes first: with the data truncated it would speak of bytes that are gone.
  const std::string header = journal_header(file, block_bytes);
  partial.journal_ = open_file(journal, O_WRONLY | O_APPEND | (goes_on ? 0 : O_TRUNC));
  if (partial.journal_ < 0) return io_error("cannot create the file", journal, errno);
  partial.data_ = open_file(part, O_RDWR | (goes_on ? 0 : O_TRUNC));
  if (partial.data_ < 0) return io_error("cannot create the file", part, errno);
  if (goes_on) {
    // A line that was cut short must not join the next one.
    if (!lines.empty() && lines.back() != '\n' && ::write(partial.journal_, "\n", 1) != 1) {
      return io_error("cannot write", journal, errno);
    }
    return partial;
  }
  if (::ftruncate(partial.data_, static_cast<off_t>(file.bytes)) != 0) return io_error("cannot write", part, errno);
  if (::write(partial.journal_, header.data(), header.size()) != static_cast<ssize_t>(header.size())) {
    return io_error("cannot write", journal, errno);
  }
  return partial;
}

PartialFile::PartialFile(PartialFile&& other) noexcept
    : folder_(std::move(other.folder_)),
      file_(std::move(other.file_)),
      data_(std::exchange(other.data_, -1)),
      journal_(std::exchange(other.journal_, -1)) {}

PartialFile& PartialFile::operator=(PartialFile&& other) noexcept {
  std::swap(folder_, other.folder_);
  std::swap(file_, other.file_);
  std::swap(data_, other.data_);
  std::swap(journal_, other.journal_);
  return *this;
}

PartialFile::~PartialFile() {
  if (data_ >= 0) ::close(data_);
  if (journal_ >= 0) ::close(journal_);
}

Result<void> PartialFile::write(uint64_t offset, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(data_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0) {
      if (errno == EINTR) continue;
      return io_error("cannot write", part_path(folder_, file_), errno);
    }
    offset += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

Result<void> PartialFile::finish_block(size_t block) const {
  if (::fdatasync(data_) != 0) return io_error("cannot write", part_path(folder_, file_), errno);
  const std::string line = fmt::format("{}\n", block);  // one write with O_APPEND: lines of threads do not mix
  if (::write(journal_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    return io_error("cannot write", journal_path(folder_, file_), errno);
  }
  return {};
}

Result<std::string> PartialFile::checksum(const std::function<bool()>& is_cancelled) const {
  FileHasher hasher(file_);
  std::vector<std::byte> buffer(1 << 20);
  for (uint64_t offset = 0; offset < file_.bytes;) {
    const ssize_t n = ::pread(data_, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return io_error("cannot read", part_path(folder_, file_), n < 0 ? errno : EIO);
    hasher.update(std::span(buffer).first(static_cast<size_t>(n)));
    offset += static_cast<uint64_t>(n);
    if (is_cancelled()) {
      return Error{.code = ErrorCode::kCancelled, .what = "stopped", .in = "", .want = "", .found = "", .hint = ""};
    }
  }
  return hasher.finish();
}

Result<void> PartialFile::finish(const std::function<bool()>& is_cancelled) {
  HADAL_ASSIGN(const std::string found, checksum(is_cancelled));
  const fs::path part = part_path(folder_, file_);
  const fs::path journal = journal_path(folder_, file_);
  if (found != expected_checksum(file_)) {
    ::unlink(journal.c_str());
    ::unlink(part.c_str());
    return Error{.code = ErrorCode::kCorrupt,
                 .what = "what was fetched is not what the hub promised",
                 .in = (folder_ / file_.name).string(),
                 .want = fmt::format("{} {}", file_.sha256.empty() ? "git SHA-1" : "SHA-256", expected_checksum(file_)),
                 .found = found,
                 .hint =
                     "it is thrown away; pull again, and if it stays so, from another hub (--hub) or mirror "
                     "(--mirror)"};
  }
  if (::fsync(data_) != 0) return io_error("cannot write", part, errno);
  if (::rename(part.c_str(), (folder_ / file_.name).c_str()) != 0) {
    return io_error("cannot rename the finished file", part, errno);
  }
  ::unlink(journal.c_str());
  sync_folder(folder_);
  return {};
}

}  // namespace hadal::hub
