// Man pages and shell completions: made from the options themselves, so nothing may be missing in them. What a shell or
// man is not installed for is skipped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "base/io.h"
#include "cli/program.h"

namespace hadal {
namespace {

using test::Finished;
using test::TempFolder;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

constexpr const char* kBash = "share/bash-completion/completions/hadal";
constexpr const char* kZsh = "share/zsh/site-functions/_hadal";
constexpr const char* kFish = "share/fish/vendor_completions.d/hadal.fish";

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string help_of(const TempFolder& folder, const std::vector<std::string>& command) {
  std::vector<std::string> arguments = command;
  arguments.emplace_back("--help");
  const Finished finished = run_hadal(folder, arguments);
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  return finished.out;
}

// The first words of the lines below "Commands:" of --help.
std::vector<std::string> commands_of(const std::string& help) {
  std::vector<std::string> commands;
  bool is_inside = false;
  for (const std::string& line : lines_of(help)) {
    if (is_inside && line.empty()) break;
    const bool goes_on = line.starts_with("   ");
    if (is_inside && !goes_on) commands.push_back(line.substr(2, line.find(' ', 2) - 2));
    is_inside = is_inside || line == "Commands:";
  }
  return commands;
}

// "-p" and "--prompt" of a line "  -p, --prompt TEXT   ...".
std::vector<std::string> options_of(const std::string& help) {
  std::vector<std::string> options;
  for (const std::string& line : lines_of(help)) {
    if (!line.starts_with("  -") && !line.starts_with("      --")) continue;
    std::istringstream words(line);
    for (std::string word; words >> word && word.starts_with('-');) {
      options.push_back(word.ends_with(',') ? word.substr(0, word.size() - 1) : word);
    }
  }
  return options;
}

std::string in_roff(std::string text) {
  for (size_t at = text.find('-'); at != std::string::npos; at = text.find('-', at + 2)) text.insert(at, "\\");
  return text;
}

bool is_installed(const std::string& program) {
  return std::system(("command -v " + program + " >/dev/null 2>&1").c_str()) == 0;
}

// What a shell command prints, run in the folder.
std::string output_of(const TempFolder& folder, const std::string& command) {
  const std::string out = folder / "out";
  const std::string whole = "cd '" + folder.path().string() + "' && (" + command + ") >'" + out + "' 2>&1";
  if (std::system(whole.c_str()) != 0) return "failed: " + read_file(out, 1 << 20).value();
  return read_file(out, 1 << 20).value();
}

class Manual : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(run_hadal(folder_, {"manual", "share"}).exit_code, 0); }

  std::string file(const std::string& name) const { return read_file(folder_ / name, 1 << 20).value(); }

  // What bash offers for the last word.
  std::vector<std::string> offered_by_bash(const std::string& words) const {
    const std::string n = std::to_string(std::count(words.begin(), words.end(), ' '));
    return lines_of(output_of(folder_, "bash -c \"source " + std::string(kBash) + "; COMP_WORDS=(" + words +
                                           "); COMP_CWORD=" + n +
                                           "; _hadal; printf '%s\\n' \\\"\\${COMPREPLY[@]}\\\"\""));
  }

  const TempFolder folder_;
};

TEST_F(Manual, every_command_and_option_has_its_place) {
  const std::vector<std::string> commands = commands_of(help_of(folder_, {}));
  ASSERT_THAT(commands, IsSupersetOf({"run", "bench", "eval", "compare", "plan", "inspect", "synth", "doctor"}));
  for (const std::string& command : commands) {
    EXPECT_THAT(file("share/man/man1/hadal.1"), HasSubstr(".B hadal " + command + "\n"));
    const std::string page = file("share/man/man1/hadal-" + command + ".1");
    const std::vector<std::string> options = options_of(help_of(folder_, {command}));
    ASSERT_THAT(options, Contains("--help")) << command;
    for (const std::string& option : options) {
      EXPECT_THAT(page, HasSubstr("\\fB" + in_roff(option) + "\\fR")) << command;
      EXPECT_THAT(file(kZsh), HasSubstr(option)) << command;
      const std::string in_fish = option.starts_with("--") ? " -l " + option.substr(2) : " -s " + option.substr(1);
      EXPECT_THAT(file(kFish), HasSubstr(in_fish)) << command;
    }
  }
}

TEST_F(Manual, the_command_for_completions_prints_what_is_installed) {
  EXPECT_EQ(run_hadal(folder_, {"completions", "bash"}).out, file(kBash));
  EXPECT_EQ(run_hadal(folder_, {"completions", "zsh"}).out, file(kZsh));
  EXPECT_EQ(run_hadal(folder_, {"completions", "fish"}).out, file(kFish));
}

TEST_F(Manual, pages_render_without_a_warning) {
  if (!is_installed("groff")) GTEST_SKIP() << "groff is not installed";
  for (const auto& entry : fs::directory_iterator(folder_ / "share/man/man1")) {
    EXPECT_EQ(output_of(folder_, "groff -man -Tutf8 -ww '" + entry.path().string() + "' >/dev/null"), "")
        << entry.path();
  }
  EXPECT_THAT(output_of(folder_, "groff -man -Tascii -P-cbou share/man/man1/hadal-run.1"),
              HasSubstr("hadal run -p 'What is the capital of France?'"));
}

TEST_F(Manual, bash_offers_commands_options_and_values) {
  EXPECT_THAT(offered_by_bash("hadal co"), ElementsAre("compare", "convert", "completions"));
  EXPECT_THAT(offered_by_bash("hadal run --max"), ElementsAre("--max-tokens"));
  EXPECT_THAT(offered_by_bash("hadal run --mode e"), ElementsAre("exact"));
  EXPECT_THAT(offered_by_bash("hadal run --mode = p"), ElementsAre("published"));
  EXPECT_THAT(offered_by_bash("hadal completions z"), ElementsAre("zsh"));
  EXPECT_THAT(offered_by_bash("hadal doctor --model sha"), ElementsAre("share"));
  EXPECT_THAT(offered_by_bash("hadal inspect sha"), ElementsAre("share"));
  EXPECT_THAT(offered_by_bash("hadal run --seed s"), ElementsAre(IsEmpty()));
  for (const std::string& command : commands_of(help_of(folder_, {}))) {
    EXPECT_THAT(offered_by_bash("hadal " + command + " -"), IsSupersetOf(options_of(help_of(folder_, {command}))));
  }
}

TEST_F(Manual, fish_offers_options_and_values) {
  if (!is_installed("fish")) GTEST_SKIP() << "fish is not installed";
  const auto offered = [&](const std::string& line) {
    return output_of(folder_, "fish -c \"source " + std::string(kFish) + "; complete -C '" + line + "'\"");
  };
  EXPECT_THAT(offered("hadal run --mod"), HasSubstr("--mode\tArithmetic"));
  EXPECT_THAT(offered("hadal eval --kl pub"), HasSubstr("published"));
}

TEST_F(Manual, zsh_reads_its_script) {
  if (!is_installed("zsh")) GTEST_SKIP() << "zsh is not installed";
  EXPECT_EQ(output_of(folder_, "zsh -n " + std::string(kZsh)), "");
}

TEST(WrongUsage, is_told_in_the_form_of_every_error) {
  const TempFolder folder;
  const Finished command = run_hadal(folder, {"chat"});
  EXPECT_EQ(command.exit_code, 2);
  EXPECT_EQ(command.err.find("error: no such command\n"), 0u) << command.err;
  EXPECT_THAT(command.err, HasSubstr("run, serve, pull"));
  const Finished option = run_hadal(folder, {"run", "--bogus"});
  EXPECT_EQ(option.exit_code, 2);
  EXPECT_THAT(option.err, HasSubstr("`hadal run --help`"));
  EXPECT_EQ(run_hadal(folder, {"run", "--mode", "quick", "-p", "x"}).exit_code, 2);
  EXPECT_EQ(run_hadal(folder, {"run", "--device", "gpu", "-p", "x"}).exit_code, 2);
}

TEST(WrongUsage, hadal_alone_shows_the_help) {
  const TempFolder folder;
  const Finished finished = run_hadal(folder, {});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_EQ(finished.out, "");
  EXPECT_EQ(finished.err, help_of(folder, {}));
}

}  // namespace
}  // namespace hadal
