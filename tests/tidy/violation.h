// What the style checker finds: where, which rule, and what to do about it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hadal::tidy {

struct Violation {
  std::string path;  // from the top of the repository
  size_t line = 0;   // 1 is the first; 0: the file as a whole
  std::string rule;
  std::string fix;
};

// "src/ops/rope.cpp:12: [tab] a tab; indent with two spaces"
inline std::string to_string(const Violation& v) {
  return v.path + (v.line > 0 ? ":" + std::to_string(v.line) : "") + ": [" + v.rule + "] " + v.fix;
}

// One violation a line, for a test's message.
inline std::string to_string(const std::vector<Violation>& violations) {
  std::string text;
  for (const Violation& v : violations) text += to_string(v) + "\n";
  return text;
}

}  // namespace hadal::tidy
