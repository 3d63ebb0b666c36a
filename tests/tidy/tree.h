// The files of the repository that the style rules look at.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace hadal::tidy {

struct TreeFile {
  std::string path;  // from the top of the repository
  uint64_t bytes = 0;
};

struct Tree {
  std::filesystem::path top;
  std::vector<TreeFile> files;  // by path

  // The whole file; empty when there is none.
  std::string text(std::string_view path) const;
};

// What git tracks, and what it would track (not ignored). Without git, or where it refuses the folder of another user,
// every file but those in build folders.
Tree read_tree(const std::filesystem::path& top);

// The standard output and the exit status of a shell command; status -1 when it could not be started.
struct CommandResult {
  int status = -1;
  std::string output;
};
CommandResult run_command(const std::string& command);

}  // namespace hadal::tidy
