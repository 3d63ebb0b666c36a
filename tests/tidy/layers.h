// Who may include whom: tools/layers.txt against the #includes of src/.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tidy/violation.h"

namespace hadal::tidy {

class Layers {
 public:
  // One layer a line, the lowest first; folders of one line are strangers to each other. "#" starts a comment.
  static Layers parse(std::string_view text);

  bool knows(std::string_view folder) const { return rank_.contains(folder); }
  // Both folders are known. A folder includes itself and the folders on lines above its own.
  bool may_include(std::string_view from, std::string_view to) const;

 private:
  std::map<std::string, int, std::less<>> rank_;
};

// The quoted #includes of the file `path`, which starts with "src/". Folders that the list does not name are those of
// tests/ (helpers), which only tests and benchmarks include.
std::vector<Violation> check_includes(const Layers& layers, std::string_view path, std::string_view text);

}  // namespace hadal::tidy
