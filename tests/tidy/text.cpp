#include "tidy/text.h"

#include <algorithm>

namespace hadal::tidy {

namespace {

// Blanks [begin, end), keeping line feeds.
void blank(std::string& text, size_t begin, size_t end) {
  for (size_t i = begin; i < end && i < text.size(); ++i) {
    if (text[i] != '\n') text[i] = ' ';
  }
}

// The offset behind the literal that starts with the quote at `begin`; a line feed ends it, too.
size_t literal_end(std::string_view text, size_t begin) {
  const char quote = text[begin];
  for (size_t i = begin + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == quote || text[i] == '\n') {
      return i + 1;
    }
  }
  return text.size();
}

// The offset behind R"delimiter(...)delimiter", whose quote is at `quote`.
size_t raw_string_end(std::string_view text, size_t quote) {
  const size_t open = text.find('(', quote);
  if (open == std::string_view::npos) return text.size();
  const std::string close = ")" + std::string(text.substr(quote + 1, open - quote - 1)) + "\"";
  const size_t end = text.find(close, open);
  return end == std::string_view::npos ? text.size() : end + close.size();
}

}  // namespace

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string blank_comments_and_literals(std::string_view text) {
  std::string code(text);
  size_t i = 0;
  while (i < text.size()) {
    const char c = text[i];
    size_t end = i + 1;
    if (text.substr(i, 2) == "//") {
      end = std::min(text.find('\n', i), text.size());
      blank(code, i, end);
    } else if (text.substr(i, 2) == "/*") {
      const size_t close = text.find("*/", i + 2);
      end = close == std::string_view::npos ? text.size() : close + 2;
      blank(code, i, end);
    } else if (c == '"') {
      const bool raw = i > 0 && text[i - 1] == 'R';
      end = raw ? raw_string_end(text, i) : literal_end(text, i);
      blank(code, i + 1, end - 1);
    } else if (c == '\'' && (i == 0 || !is_identifier_char(text[i - 1]))) {  // not the separator of 1'000
      end = literal_end(text, i);
      blank(code, i + 1, end - 1);
    }
    i = end;
  }
  return code;
}

bool is_identifier_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool has_word(std::string_view line, std::string_view word) {
  for (size_t at = line.find(word); at != std::string_view::npos; at = line.find(word, at + 1)) {
    const size_t end = at + word.size();
    const bool open_before = at == 0 || !is_identifier_char(line[at - 1]) || !is_identifier_char(word.front());
    const bool open_after = end == line.size() || !is_identifier_char(line[end]) || !is_identifier_char(word.back());
    if (open_before && open_after) return true;
  }
  return false;
}

size_t count_code_points(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace hadal::tidy
