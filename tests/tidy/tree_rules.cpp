#include "tidy/tree_rules.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "tidy/source_rules.h"
#include "tidy/text.h"

namespace hadal::tidy {

namespace {

// "src/ops/rope/rope.h" below "src/ops/" is {"rope", "rope.h"}; {} when the path is no file of a folder there.
std::pair<std::string, std::string> split_below(std::string_view path, std::string_view parent) {
  if (!path.starts_with(parent)) return {};
  const std::string_view rest = path.substr(parent.size());
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return {};
  return {std::string(rest.substr(0, slash)), std::string(rest.substr(slash + 1))};
}

}  // namespace

std::vector<Violation> check_sizes(std::span<const TreeFile> files) {
  std::vector<Violation> found;
  uint64_t total_bytes = 0;
  for (const TreeFile& file : files) {
    total_bytes += file.bytes;
    const bool is_data = file.path.starts_with("models/") || file.path.starts_with("tests/data/");
    if (file.bytes > kBlobBytesMax && !is_data) {
      found.push_back({file.path, 0, "large-file",
                       std::to_string(file.bytes) + " bytes; above 1 MiB it belongs to models/ or tests/data/"});
    }
  }
  if (total_bytes > kTreeBytesMax) {
    found.push_back({"", 0, "tree-size", std::to_string(total_bytes) + " bytes in all; the limit is 56 MiB"});
  }
  return found;
}

std::vector<Violation> check_op_folders(std::span<const TreeFile> files) {
  std::map<std::string, std::vector<std::string>> ops;
  for (const TreeFile& file : files) {
    auto [op, name] = split_below(file.path, "src/ops/");
    if (!op.empty()) ops[op].push_back(name);
  }
  std::vector<Violation> found;
  for (const auto& [op, names] : ops) {
    const std::string folder = "src/ops/" + op + "/";
    const auto want = [&](const std::string& suffix, const std::string& fix) {
      const bool has =
          std::any_of(names.begin(), names.end(), [&](const auto& name) { return name.ends_with(suffix); });
      if (!has) found.push_back({folder, 0, "op-files", fix});
    };
    if (std::find(names.begin(), names.end(), op + ".h") == names.end()) {
      found.push_back({folder, 0, "op-files", "add the contract " + op + ".h"});
    }
    want("_reference.cpp", "add the definition " + op + "_reference.cpp");
    want("_test.cpp", "add " + op + "_test.cpp: reference against goldens, every version against the reference");
    want("_bench.cpp", "add " + op + "_bench.cpp: real geometries, bytes and operations counted");
  }
  return found;
}

std::vector<Violation> check_fuzz_corpora(std::span<const TreeFile> files) {
  constexpr std::string_view kSuffix = "_fuzz.cpp";
  std::set<std::string> targets;
  std::set<std::string> corpora;
  for (const TreeFile& file : files) {
    if (file.path.starts_with("fuzz/") && file.path.ends_with(kSuffix)) {
      targets.insert(file.path.substr(5, file.path.size() - 5 - kSuffix.size()));
    }
    if (const auto name = split_below(file.path, "fuzz/corpus/").first; !name.empty()) corpora.insert(name);
  }
  std::vector<Violation> found;
  for (const std::string& name : targets) {
    if (!corpora.contains(name)) {
      found.push_back({"fuzz/" + name + "_fuzz.cpp", 0, "fuzz-corpus", "keep some inputs in fuzz/corpus/" + name});
    }
  }
  for (const std::string& name : corpora) {
    if (!targets.contains(name)) {
      found.push_back({"fuzz/corpus/" + name, 0, "fuzz-corpus", "nothing reads it: add fuzz/" + name + "_fuzz.cpp"});
    }
  }
  return found;
}

std::vector<Violation> check_document_names(std::string_view path, std::string_view text,
                                            std::span<const TreeFile> files) {
  constexpr std::string_view kFolder = "docs/";
  std::vector<Violation> found;
  const auto lines = split_lines(text);
  for (size_t i = 0; i < lines.size(); ++i) {
    for (size_t at = lines[i].find(kFolder); at != std::string_view::npos; at = lines[i].find(kFolder, at + 1)) {
      if (at > 0 && (is_identifier_char(lines[i][at - 1]) || lines[i][at - 1] == '/')) continue;
      size_t end = at;
      while (end < lines[i].size() && (is_identifier_char(lines[i][end]) || lines[i][end] == '/' ||
                                       lines[i][end] == '-' || lines[i][end] == '.')) {
        ++end;
      }
      const std::string_view name = lines[i].substr(at, end - at);
      const size_t dot = name.rfind(".md");
      if (dot == std::string_view::npos) continue;
      const std::string_view document = name.substr(0, dot + 3);
      const bool exists =
          std::any_of(files.begin(), files.end(), [&](const auto& file) { return file.path == document; });
      if (!exists) {
        found.push_back({std::string(path), i + 1, "document", std::string(document) + " does not exist: write it"});
      }
    }
  }
  return found;
}

std::optional<std::string> find_clang_format() {
  const std::string version = std::to_string(kClangFormatVersion);
  for (const std::string& command : {"clang-format-" + version, std::string("clang-format")}) {
    const auto result = run_command(command + " --version 2>/dev/null");
    if (result.status == 0 && result.output.find("version " + version + ".") != std::string::npos) return command;
  }
  return std::nullopt;
}

std::vector<Violation> check_format(const std::string& clang_format, const Tree& tree) {
  std::string command = "cd '" + tree.top.string() + "' && " + clang_format + " --dry-run";
  for (const TreeFile& file : tree.files) {
    if (is_cpp(file.path)) command += " '" + file.path + "'";
  }
  // "src/base/io.cpp:12:34: warning: code should be clang-formatted [-Wclang-format-violations]"
  const auto result = run_command(command + " 2>&1");
  std::map<std::string, std::pair<size_t, size_t>> files;  // first line, number of places
  for (std::string_view line : split_lines(result.output)) {
    if (line.find("code should be clang-formatted") == std::string_view::npos) continue;
    std::istringstream fields{std::string(line)};
    std::string path;
    size_t number = 0;
    std::getline(fields, path, ':');
    fields >> number;
    auto& [first, places] = files.try_emplace(path, number, 0).first->second;
    ++places;
  }
  std::vector<Violation> found;
  for (const auto& [path, where] : files) {
    found.push_back({path, where.first, "format", std::to_string(where.second) + " places differ: run `make format`"});
  }
  return found;
}

}  // namespace hadal::tidy
