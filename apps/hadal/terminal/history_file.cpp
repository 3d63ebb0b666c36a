#include "terminal/history_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/json.h"

namespace hadal {
namespace {

// Appending programs may have taken the file far beyond the size at which one of them writes it anew.
constexpr uint64_t kHistoryBytesMax = 64 * kHistoryCompactBytes;

Error history_error(std::string_view what, const fs::path& path, std::string found) {
  return {.code = ErrorCode::kIo,
          .what = std::string(what),
          .in = path.string(),
          .want = "",
          .found = std::move(found),
          .hint = "the history of this chat is not kept; XDG_STATE_HOME names another folder for it"};
}

std::vector<std::string> parse_entries(std::string_view text) {
  std::vector<std::string> entries;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const Result<json::Value> value = json::parse(text.substr(0, end), "history");
    if (value.ok() && value->is_string()) entries.push_back(value->as_string());
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (entries.size() > kHistoryEntriesMax) {
    entries.erase(entries.begin(), entries.end() - static_cast<ptrdiff_t>(kHistoryEntriesMax));
  }
  return entries;
}

Result<void> write_anew(const fs::path& path, const std::vector<std::string>& entries) {
  HADAL_ASSIGN(AtomicFile file, AtomicFile::create(path, true));
  for (const std::string& entry : entries) HADAL_TRY(file.write(json::quote(entry) + "\n"));
  return file.commit();
}

Result<void> create_folders(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return {};
  fs::create_directories(folder.parent_path(), error);
  if (!error && ::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) error = {errno, std::generic_category()};
  if (error) return history_error("cannot create the folder of the history", folder, error.message());
  return {};
}

// One write, so that lines of two programs do not mix.
Result<void> append_line(const fs::path& path, std::string_view line) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return history_error("cannot open the history", path, std::strerror(errno));
  ssize_t n = 0;
  do {
    n = ::write(fd, line.data(), line.size());
  } while (n < 0 && errno == EINTR);
  const int write_errno = errno;
  ::close(fd);
  if (n == static_cast<ssize_t>(line.size())) return {};
  return history_error("cannot write the history", path, n < 0 ? std::strerror(write_errno) : "the disk is full");
}

}  // namespace

fs::path history_path(const char* xdg_state_home, const char* home) {
  const auto is_absolute = [](const char* path) { return path != nullptr && path[0] == '/'; };
  if (is_absolute(xdg_state_home)) return fs::path(xdg_state_home) / "hadal" / "history";
  if (is_absolute(home)) return fs::path(home) / ".local" / "state" / "hadal" / "history";
  return {};
}

Result<std::vector<std::string>> HistoryFile::load() const {
  if (path_.empty()) return std::vector<std::string>{};
  const Result<std::string> text = read_file(path_, kHistoryBytesMax);
  if (!text.ok() && text.error().code == ErrorCode::kNotFound) return std::vector<std::string>{};
  if (!text.ok()) return text.error();
  std::vector<std::string> entries = parse_entries(*text);
  if (text->size() > kHistoryCompactBytes) HADAL_TRY(write_anew(path_, entries));
  return entries;
}

Result<void> HistoryFile::append(std::string_view entry) const {
  if (path_.empty() || entry.size() > kHistoryEntryBytesMax) return {};
  HADAL_TRY(create_folders(path_.parent_path()));
  return append_line(path_, json::quote(entry) + "\n");
}

}  // namespace hadal
