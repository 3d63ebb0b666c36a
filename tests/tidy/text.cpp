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

struct Literal {
  enum class Kind { kComment, kString, kRawString, kCharacter } kind;
  size_t begin;  // of the comment, or of the opening quote
  size_t end;    // behind it
};

std::vector<Literal> literals(std::string_view text) {
  std::vector<Literal> found;
  const auto until = [&](std::string_view mark, size_t from) {  // behind the mark, or the end of the text
    const size_t at = text.find(mark, from);
    return at == std::string_view::npos ? text.size() : at + mark.size();
  };
  size_t i = 0;
  while (i < text.size()) {
    const bool after_identifier = i > 0 && is_identifier_char(text[i - 1]);
    size_t end = i + 1;
    if (text.substr(i, 2) == "//") {
      end = std::min(text.find('\n', i), text.size());
      found.push_back({Literal::Kind::kComment, i, end});
    } else if (text.substr(i, 2) == "/*") {
      end = until("*/", i + 2);
      found.push_back({Literal::Kind::kComment, i, end});
    } else if (text[i] == '"' && i > 0 && text[i - 1] == 'R') {
      end = raw_string_end(text, i);
      found.push_back({Literal::Kind::kRawString, i, end});
    } else if (text[i] == '"') {
      end = literal_end(text, i);
      found.push_back({Literal::Kind::kString, i, end});
    } else if (text[i] == '\'' && !after_identifier) {  // not the separator of 1'000
      end = literal_end(text, i);
      found.push_back({Literal::Kind::kCharacter, i, end});
    }
    i = end;
  }
  return found;
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
  for (const Literal& literal : literals(text)) {
    const bool is_comment = literal.kind == Literal::Kind::kComment;
    blank(code, literal.begin + (is_comment ? 0 : 1), literal.end - (is_comment ? 0 : 1));
  }
  return code;
}

std::vector<bool> lines_with_raw_strings(std::string_view text) {
  std::vector<bool> lines(split_lines(text).size(), false);
  const auto line_of = [&](size_t offset) {
    return static_cast<size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
  };
  for (const Literal& literal : literals(text)) {
    if (literal.kind != Literal::Kind::kRawString) continue;
    for (size_t line = line_of(literal.begin); line <= line_of(literal.end - 1); ++line) lines[line] = true;
  }
  return lines;
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
