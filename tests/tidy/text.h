// Text of source files as the rules need it: lines, and C++ without its comments and literals.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hadal::tidy {

// Without line feeds; a last line without one counts.
std::vector<std::string_view> split_lines(std::string_view text);

// C++ text with the contents of comments, strings and character literals replaced by spaces. Lines and columns stay.
std::string blank_comments_and_literals(std::string_view text);

// For each line, whether a raw string lies on it: its text is data, which no formatter can break.
std::vector<bool> lines_with_raw_strings(std::string_view text);

// Whether `line` holds `word` with no identifier character directly before or after it.
bool has_word(std::string_view line, std::string_view word);

// Code points of UTF-8 text: what a terminal's column counter shows for our sources.
size_t count_code_points(std::string_view text);

bool is_identifier_char(char c);

}  // namespace hadal::tidy
