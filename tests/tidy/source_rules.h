// What one file can be judged by alone: its length, its lines, its words.
#pragma once

#include <string_view>
#include <vector>

#include "tidy/violation.h"

namespace hadal::tidy {

inline constexpr size_t kFileLinesMax = 800;    // above that a file tells two stories
inline constexpr size_t kLineColumnsMax = 120;  // as .clang-format says

bool is_cpp(std::string_view path);   // .cpp .h .cu .cuh
bool is_code(std::string_view path);  // C++, CMake, shell, scripts: what has columns and indentation
bool is_text(std::string_view path);  // code, documents, configuration

// Every rule that fits the kind of `path`.
std::vector<Violation> check_source(std::string_view path, std::string_view text);

}  // namespace hadal::tidy
