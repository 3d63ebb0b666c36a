#include "tidy/source_rules.h"

#include <algorithm>
#include <array>
#include <string>

#include "tidy/text.h"

namespace hadal::tidy {

namespace {

bool ends_with_any(std::string_view path, std::initializer_list<std::string_view> suffixes) {
  return std::any_of(suffixes.begin(), suffixes.end(), [&](auto suffix) { return path.ends_with(suffix); });
}

struct BannedWord {
  std::string_view word;
  std::string_view fix;
};

// Looked for in C++ without comments and literals. Spelled in two halves where this file would find itself.
constexpr std::array<BannedWord, 3> kBannedWords = {{
    {"std::regex", "slow, recursive, no Unicode: write a scanner, or PCRE2 inside src/tokenizer"},
    {"using namespace std", "name what you use"},
    {"assert(", "HADAL_CHECK prints the values; HADAL_DCHECK in inner loops (base/check.h)"},
}};

// Directories of somebody's machine: a path that starts with one of them works nowhere else.
constexpr std::array<std::string_view, 5> kMachineFolders = {"home", "Users", "root", "work", "mnt"};

// A note with its issue is written TODO(#12) or TODO #12; one without any is found.
bool is_todo_without_issue(std::string_view line) {
  constexpr std::string_view kWord = "TODO";
  const size_t at = line.find(kWord);
  if (at == std::string_view::npos || !has_word(line, kWord)) return false;
  if (at > 0 && line[at - 1] == '"') return false;  // the word is talked about, as here
  const size_t hash = line.find('#', at);
  return hash == std::string_view::npos || hash > at + kWord.size() + 2 || hash + 1 >= line.size() ||
         line[hash + 1] < '0' || line[hash + 1] > '9';
}

bool has_machine_path(std::string_view line) {
  constexpr std::string_view kRelative = "./~}>)-";
  for (size_t slash = line.find('/'); slash != std::string_view::npos; slash = line.find('/', slash + 1)) {
    // What follows a name, a dot or a tilde is a part of a longer path or an address.
    if (slash > 0 && (is_identifier_char(line[slash - 1]) || kRelative.find(line[slash - 1]) != kRelative.npos))
      continue;
    const std::string_view rest = line.substr(slash + 1);
    for (std::string_view folder : kMachineFolders) {
      if (rest.starts_with(folder) && rest.size() > folder.size() && rest[folder.size()] == '/') return true;
    }
  }
  return false;
}

class Checker {
 public:
  Checker(std::string_view path, std::string_view text) : path_(path), text_(text), lines_(split_lines(text)) {}

  std::vector<Violation> run() {
    if (is_cpp(path_)) {
      check_length();
      check_pragma_once();
      check_words();
    }
    if (is_code(path_)) check_columns_and_tabs();
    check_notes_and_paths();
    return std::move(found_);
  }

 private:
  void report(size_t line, std::string_view rule, std::string_view fix) {
    found_.push_back({std::string(path_), line, std::string(rule), std::string(fix)});
  }

  void check_length() {
    // A kernel may be longer when its schedule is one thought.
    if (lines_.size() > kFileLinesMax && !ends_with_any(path_, {".cu", ".cuh"})) {
      report(0, "file-length",
             std::to_string(lines_.size()) + " lines; above " + std::to_string(kFileLinesMax) + " it is two files");
    }
  }

  void check_pragma_once() {
    if (!ends_with_any(path_, {".h", ".cuh"}) || path_.starts_with("include/")) return;  // the C API has a C guard
    if (std::find(lines_.begin(), lines_.end(), "#pragma once") == lines_.end()) {
      report(0, "pragma-once", "start the header, below its comment, with #pragma once");
    }
  }

  void check_words() {
    const std::string code = blank_comments_and_literals(text_);
    const auto code_lines = split_lines(code);
    for (size_t i = 0; i < code_lines.size(); ++i) {
      for (const BannedWord& banned : kBannedWords) {
        if (has_word(code_lines[i], banned.word)) {
          report(i + 1, "banned-word", std::string(banned.word) + ": " + std::string(banned.fix));
        }
      }
      const bool is_include = code_lines[i].starts_with("#");
      if (!is_include && !path_.starts_with("src/base/") && has_word(code_lines[i], "new")) {
        report(
            i + 1, "raw-new",
            "make_unique (_for_overwrite where zeros cost), containers and values own memory; `new` stays in src/base");
      }
    }
  }

  void check_columns_and_tabs() {
    const bool tabs_are_syntax = path_.ends_with("Makefile");
    bool in_table = false;  // between clang-format off and on columns follow the table
    const auto in_raw_string = is_cpp(path_) ? lines_with_raw_strings(text_) : std::vector<bool>(lines_.size(), false);
    for (size_t i = 0; i < lines_.size(); ++i) {
      if (lines_[i].find("// clang-format off") != std::string_view::npos) in_table = true;
      if (lines_[i].find("// clang-format on") != std::string_view::npos) in_table = false;
      const size_t columns = count_code_points(lines_[i]);
      if (columns > kLineColumnsMax && !in_table && !in_raw_string[i]) {
        report(i + 1, "line-length",
               std::to_string(columns) + " columns; break it at " + std::to_string(kLineColumnsMax));
      }
      if (!tabs_are_syntax && lines_[i].find('\t') != std::string_view::npos) {
        report(i + 1, "tab", "indent with two spaces; in a string write \\t");
      }
    }
  }

  void check_notes_and_paths() {
    for (size_t i = 0; i < lines_.size(); ++i) {
      if (has_word(lines_[i],
                   "FIX"
                   "ME"))
        report(i + 1, "fixme", "mend it, or file an issue and name it");
      if (is_todo_without_issue(lines_[i]))
        report(i + 1, "todo",
               "name the issue: TO"
               "DO(#12)");
      if (has_machine_path(lines_[i])) report(i + 1, "machine-path", "no other machine has this folder");
    }
  }

  std::string_view path_;
  std::string_view text_;
  std::vector<std::string_view> lines_;
  std::vector<Violation> found_;
};

}  // namespace

bool is_cpp(std::string_view path) {
  return ends_with_any(path, {".cpp", ".h", ".cu", ".cuh"});
}

bool is_code(std::string_view path) {
  return is_cpp(path) || ends_with_any(path, {".cmake", "CMakeLists.txt", "Makefile", ".sh", ".py", ".js", ".mjs",
                                              ".ts", ".css", ".ci/run"});
}

bool is_text(std::string_view path) {
  return is_code(path) || ends_with_any(path, {".md", ".txt", ".json", ".yml", ".yaml", ".html", ".in", ".service"});
}

std::vector<Violation> check_source(std::string_view path, std::string_view text) {
  return Checker(path, text).run();
}

}  // namespace hadal::tidy
