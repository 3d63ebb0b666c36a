#include "tidy/layers.h"

#include <sstream>

#include "tidy/text.h"

namespace hadal::tidy {

namespace {

// What stands in the quotes of an #include line, or nothing.
std::string_view quoted_include(std::string_view line, std::string_view code) {
  const size_t hash = code.find_first_not_of(' ');
  if (hash == std::string_view::npos || code[hash] != '#' || !has_word(code, "include")) return {};
  const size_t open = line.find('"');
  const size_t close = line.rfind('"');
  return open == close ? std::string_view{} : line.substr(open + 1, close - open - 1);
}

bool is_test_or_bench(std::string_view path) {
  return path.ends_with("_test.cpp") || path.ends_with("_bench.cpp");
}

}  // namespace

Layers Layers::parse(std::string_view text) {
  Layers layers;
  int rank = 0;
  for (std::string_view line : split_lines(text)) {
    std::istringstream words{std::string(line.substr(0, line.find('#')))};
    for (std::string folder; words >> folder;) layers.rank_[folder] = rank;
    ++rank;
  }
  return layers;
}

bool Layers::may_include(std::string_view from, std::string_view to) const {
  return from == to || rank_.find(to)->second < rank_.find(from)->second;
}

std::vector<Violation> check_includes(const Layers& layers, std::string_view path, std::string_view text) {
  std::vector<Violation> found;
  const std::string_view below_src = path.substr(std::string_view("src/").size());
  const std::string from(below_src.substr(0, below_src.find('/')));
  if (!layers.knows(from)) {
    return {{std::string(path), 0, "include-layer", "give src/" + from + " its line in tools/layers.txt"}};
  }

  const std::string code = blank_comments_and_literals(text);
  const auto lines = split_lines(text);
  const auto code_lines = split_lines(code);
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string_view target = quoted_include(lines[i], code_lines[i]);
    if (target.empty()) continue;
    const auto report = [&](const char* rule, const std::string& fix) {
      found.push_back({std::string(path), i + 1, rule, fix});
    };
    if (target.find('/') == std::string_view::npos || target.starts_with(".")) {
      report("include-path", "write the include from src/: \"FOLDER/file.h\"");
      continue;
    }
    const std::string to(target.substr(0, target.find('/')));
    if (!layers.knows(to)) {
      if (!is_test_or_bench(path)) {
        report("include-layer", to + " is no folder of tools/layers.txt; only tests include helpers from tests/");
      }
    } else if (!layers.may_include(from, to)) {
      report("include-layer",
             from + " must not know " + to + " (tools/layers.txt): move what it needs down, or this file up");
    }
  }
  return found;
}

}  // namespace hadal::tidy
