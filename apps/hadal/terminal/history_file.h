// What was typed, kept between runs: one JSON string a line, so that a message of several lines stays one entry.
//
// The file is private (mode 0600) and bounded: 1,000 entries of at most 64 KiB, and it is written anew once it is
// beyond 1 MiB. A new entry is one appended line, so that several programs may write at once. Lines that are not JSON
// strings are skipped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/io.h"
#include "base/result.h"

namespace hadal {

inline constexpr size_t kHistoryEntriesMax = 1000;
inline constexpr size_t kHistoryEntryBytesMax = size_t{64} << 10;  // a longer message is not kept
inline constexpr uint64_t kHistoryCompactBytes = uint64_t{1} << 20;

// $XDG_STATE_HOME/hadal/history, else $HOME/.local/state/hadal/history; empty when neither variable is an absolute path
// (as the XDG Base Directory Specification asks). A null variable is unset.
fs::path history_path(const char* xdg_state_home, const char* home);

class HistoryFile {
 public:
  // Nothing is opened or created yet. An empty path keeps nothing.
  explicit HistoryFile(fs::path path) : path_(std::move(path)) {}

  // The last entries, oldest first; none when there is no file. Errors: Io, Limit (a file that this class cannot have
  // written).
  Result<std::vector<std::string>> load() const;

  // Appends one entry; creates folders (0700) and file (0600). Errors: Io.
  [[nodiscard]] Result<void> append(std::string_view entry) const;

 private:
  fs::path path_;
};

}  // namespace hadal
