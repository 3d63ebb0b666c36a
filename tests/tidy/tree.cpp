#include "tidy/tree.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>

namespace hadal::tidy {

namespace fs = std::filesystem;

namespace {

std::vector<std::string> paths_of_git(const fs::path& top) {
  // -z: no quoting of odd names.
  const auto listed =
      run_command("git -C '" + top.string() + "' ls-files -z --cached --others --exclude-standard 2>/dev/null");
  std::vector<std::string> paths;
  if (listed.status != 0) return paths;
  size_t begin = 0;
  while (begin < listed.output.size()) {
    const size_t end = std::min(listed.output.find('\0', begin), listed.output.size());
    paths.push_back(listed.output.substr(begin, end - begin));
    begin = end + 1;
  }
  return paths;
}

std::vector<std::string> paths_of_folder(const fs::path& top) {
  std::vector<std::string> paths;
  for (auto entry = fs::recursive_directory_iterator(top); entry != fs::recursive_directory_iterator(); ++entry) {
    const std::string name = entry->path().filename();
    if (entry->is_directory() && (name == ".git" || name == "node_modules" || name.starts_with("build"))) {
      entry.disable_recursion_pending();
    } else if (entry->is_regular_file()) {
      paths.push_back(fs::relative(entry->path(), top));
    }
  }
  return paths;
}

}  // namespace

std::string Tree::text(std::string_view path) const {
  std::ifstream file(top / path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Tree read_tree(const fs::path& top) {
  std::vector<std::string> paths = paths_of_git(top);
  if (paths.empty()) paths = paths_of_folder(top);
  std::sort(paths.begin(), paths.end());
  Tree tree{top, {}};
  for (std::string& path : paths) {
    std::error_code error;
    const uint64_t bytes = fs::file_size(top / path, error);
    if (!error) tree.files.push_back({std::move(path), bytes});  // a file deleted but not yet committed has no size
  }
  return tree;
}

CommandResult run_command(const std::string& command) {
  CommandResult result;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return result;
  std::array<char, 4096> buffer;
  for (size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    result.output.append(buffer.data(), n);
  result.status = pclose(pipe);
  return result;
}

}  // namespace hadal::tidy
