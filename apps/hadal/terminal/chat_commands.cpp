#include "terminal/chat_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace hadal {
namespace {

using Kind = ChatCommand::Kind;

enum class Arguments { kNone, kThink, kRest, kOptionalRest, kNameValue, kSaveName };

struct Row {
  std::string_view name;
  std::string_view alias;  // what users of other programs type
  Kind kind;
  Arguments arguments;
  std::string_view usage;
  std::string_view help;
};

// clang-format off
constexpr std::array<Row, 12> kRows = {{
    {"/help",   "/?",     Kind::kHelp,   Arguments::kNone,         "",                 "this list"},
    {"/think",  "",       Kind::kThink,  Arguments::kThink,        "off|on|low|high|max|N", "reason first, and how hard (N: 1 to 100)"},
    {"/system", "",       Kind::kSystem, Arguments::kOptionalRest, "[TEXT]",           "set the system prompt; without TEXT remove it"},
    {"/set",    "",       Kind::kSet,    Arguments::kNameValue,    "NAME VALUE",       "change a setting; VALUE \"default\" resets it"},
    {"/show",   "",       Kind::kShow,   Arguments::kNone,         "",                 "settings, system prompt, how full the context is"},
    {"/file",   "",       Kind::kFile,   Arguments::kRest,         "PATH",             "put a text file into the next message"},
    {"/save",   "",       Kind::kSave,   Arguments::kSaveName,     "NAME",             "save the conversation"},
    {"/resume", "",       Kind::kResume, Arguments::kSaveName,     "NAME",             "go on with a saved conversation"},
    {"/clear",  "/new",   Kind::kClear,  Arguments::kNone,         "",                 "forget the conversation"},
    {"/retry",  "/regen", Kind::kRetry,  Arguments::kNone,         "",                 "answer the last message again"},
    {"/undo",   "",       Kind::kUndo,   Arguments::kNone,         "",                 "take the last message and its answer back"},
    {"/quit",   "/bye",   Kind::kQuit,   Arguments::kNone,         "",                 "leave (or Ctrl-D)"},
}};
// clang-format on

constexpr std::array<std::pair<std::string_view, ChatCommand::Think>, 5> kThinkWords = {{
    {"off", ChatCommand::Think::kOff},
    {"on", ChatCommand::Think::kOn},
    {"low", ChatCommand::Think::kLow},
    {"high", ChatCommand::Think::kHigh},
    {"max", ChatCommand::Think::kMax},
}};

constexpr int kEffortLevelMax = 100;

// Saved conversations are files of that name: nothing that could leave their folder or hide in it.
constexpr size_t kSaveNameBytesMax = 64;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

// The first word, and the rest without the spaces around it.
std::pair<std::string_view, std::string_view> split_word(std::string_view text) {
  const size_t end = text.find_first_of(" \t\r\n");
  if (end == std::string_view::npos) return {text, {}};
  return {text.substr(0, end), trimmed(text.substr(end))};
}

std::string usage(const Row& row) {
  return row.usage.empty() ? std::string(row.name) : fmt::format("{} {}", row.name, row.usage);
}

Error wrong_arguments(const Row& row, std::string_view what, std::string_view found) {
  return {.code = ErrorCode::kInvalid,
          .what = std::string(what),
          .in = std::string(row.name),
          .want = usage(row),
          .found = found.empty() ? std::string("nothing") : std::string(found),
          .hint = ""};
}

// Insertions, deletions and replacements between two short words (Levenshtein).
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row[b.size()];
}

Error unknown_command(std::string_view word) {
  const Row* nearest = &kRows[0];
  for (const Row& row : kRows) {
    if (edit_distance(word, row.name) < edit_distance(word, nearest->name)) nearest = &row;
  }
  const bool is_near = edit_distance(word, nearest->name) <= 2;
  return {.code = ErrorCode::kNotFound,
          .what = "no such command",
          .in = std::string(word),
          .want = is_near ? std::string(nearest->name) : std::string("a command that /help lists"),
          .found = std::string(word),
          .hint = "a space before the \"/\" sends the text to the model"};
}

const Row* find_row(std::string_view word) {
  for (const Row& row : kRows) {
    if (word == row.name || (!row.alias.empty() && word == row.alias)) return &row;
  }
  return nullptr;
}

Result<void> parse_think(const Row& row, std::string_view word, ChatCommand& command) {
  for (const auto& [name, think] : kThinkWords) {
    if (word != name) continue;
    command.think = think;
    return {};
  }
  int level = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), level);
  if (error != std::errc() || end != word.data() + word.size() || level < 1 || level > kEffortLevelMax) {
    return wrong_arguments(row, "not a way to think", word);
  }
  command.think = ChatCommand::Think::kOn;
  command.effort_level = level;
  return {};
}

bool is_save_name(std::string_view name) {
  const auto is_allowed = [](char c) {
    const bool is_ascii_letter_or_digit = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return is_ascii_letter_or_digit || c == '.' || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= kSaveNameBytesMax && name[0] != '.' && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), is_allowed);
}

// Shells quote paths with spaces, and so do people who paste them.
std::string_view without_quotes(std::string_view path) {
  const bool is_quoted = path.size() >= 2 && path.front() == path.back() && (path[0] == '"' || path[0] == '\'');
  return is_quoted ? path.substr(1, path.size() - 2) : path;
}

}  // namespace

bool is_chat_command(std::string_view message) {
  if (message.empty() || message[0] != '/') return false;
  const std::string_view word = split_word(message).first;
  if (word == "/?") return true;
  if (word.size() < 2) return false;
  return std::all_of(word.begin() + 1, word.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
}

Result<ChatCommand> parse_chat_command(std::string_view message) {
  const auto [word, rest] = split_word(trimmed(message));
  const Row* row = find_row(word);
  if (row == nullptr) return unknown_command(word);
  ChatCommand command;
  command.kind = row->kind;
  switch (row->arguments) {
    case Arguments::kNone:
      if (!rest.empty()) return wrong_arguments(*row, "command takes no argument", rest);
      break;
    case Arguments::kThink:
      HADAL_TRY(parse_think(*row, rest, command));
      break;
    case Arguments::kRest:
      if (rest.empty()) return wrong_arguments(*row, "argument is missing", rest);
      command.text = without_quotes(rest);
      break;
    case Arguments::kOptionalRest:
      command.text = rest;
      break;
    case Arguments::kNameValue: {
      const auto [name, value] = split_word(rest);
      if (value.empty()) return wrong_arguments(*row, "argument is missing", rest);
      command.name = name;
      command.text = value;
      break;
    }
    case Arguments::kSaveName:
      if (rest.empty()) return wrong_arguments(*row, "argument is missing", rest);
      if (!is_save_name(rest)) {
        Error error = wrong_arguments(*row, "not a name for a conversation", rest);
        error.want = fmt::format("at most {} letters, digits, \".\", \"_\", \"-\"", kSaveNameBytesMax);
        return error;
      }
      command.name = rest;
      break;
  }
  return command;
}

std::string chat_help() {
  size_t width = 0;
  for (const Row& row : kRows) width = std::max(width, usage(row).size());
  std::string text;
  for (const Row& row : kRows) text += fmt::format("  {:<{}}  {}\n", usage(row), width, row.help);
  return text;
}

std::vector<std::string> chat_command_names() {
  std::vector<std::string> names;
  for (const Row& row : kRows) names.emplace_back(row.name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace hadal
