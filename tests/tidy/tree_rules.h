// What only the tree as a whole shows: sizes, files that belong together, formatting.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidy/tree.h"
#include "tidy/violation.h"

namespace hadal::tidy {

inline constexpr uint64_t kBlobBytesMax = uint64_t{1} << 20;   // outside models/ and tests/data/
inline constexpr uint64_t kTreeBytesMax = uint64_t{56} << 20;  // a clone stays quick
inline constexpr int kClangFormatVersion = 14;                 // Debian 12's; each version formats a little differently

std::vector<Violation> check_sizes(std::span<const TreeFile> files);

// Every folder src/ops/OP/ holds OP.h, a *_reference.cpp, a *_test.cpp and a *_bench.cpp.
std::vector<Violation> check_op_folders(std::span<const TreeFile> files);

// Every fuzz/NAME_fuzz.cpp has inputs in fuzz/corpus/NAME/, and every such folder has its target.
std::vector<Violation> check_fuzz_corpora(std::span<const TreeFile> files);

// Every document that a text names as docs/... exists. Backslashes and quotes end the name.
std::vector<Violation> check_document_names(std::string_view path, std::string_view text,
                                            std::span<const TreeFile> files);

// The command of a clang-format of the right version, if one is installed.
std::optional<std::string> find_clang_format();
// One violation for each C++ file that the formatter would change, at the first place.
std::vector<Violation> check_format(const std::string& clang_format, const Tree& tree);

}  // namespace hadal::tidy
