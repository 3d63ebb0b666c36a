// The transcripts of docs/transcripts.md, run again. A block begins with "$ COMMAND"; lines behind ">>> " are typed.
// The greeting and the speeds, in brackets, are not compared.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "cli/program.h"

namespace hadal {
namespace {

struct Transcript {
  std::string command;
  std::string typed;
  std::string shown;
};

std::vector<Transcript> read_transcripts() {
  std::ifstream file(std::string(HADAL_SOURCE_DIR) + "/docs/transcripts.md");
  std::vector<Transcript> transcripts;
  bool is_inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line == "~~~console" || line == "~~~") {
      is_inside = line == "~~~console";
    } else if (is_inside && line.starts_with("$ ")) {
      transcripts.push_back({.command = line.substr(2), .typed = "", .shown = ""});
    } else if (is_inside && line.starts_with(">>> ")) {
      transcripts.back().typed += line.substr(4) + "\n";
    } else if (is_inside && !line.starts_with("[") && line.find("/help lists") == std::string::npos) {
      transcripts.back().shown += line + "\n";
    }
  }
  return transcripts;
}

TEST(Transcripts, are_what_the_program_shows) {
  const std::vector<Transcript> transcripts = read_transcripts();
  ASSERT_GE(transcripts.size(), 5u);
  for (const Transcript& transcript : transcripts) {
    const test::TempFolder folder;
    const bool is_chat = !transcript.typed.empty();
    folder.write("typed.txt", transcript.typed);
    folder.write("run.sh", "cd '" + std::string(HADAL_SOURCE_DIR) +
                               "' && PATH=\"$(dirname '" HADAL_BINARY "'):$PATH\"\n" + transcript.command +
                               (is_chat ? " -i --show-thinking 2>&1" : "") + "\n");
    const std::string at = "'" + folder.path().string();
    const std::string command =
        "XDG_STATE_HOME=" + at + "' sh " + at + "/run.sh' <" + at + "/typed.txt' >" + at + "/shown.txt'";
    ASSERT_EQ(std::system(command.c_str()), 0) << transcript.command;
    std::ostringstream shown;
    shown << std::ifstream(folder / "shown.txt").rdbuf();
    EXPECT_EQ(shown.str(), transcript.shown) << transcript.command;
  }
}

}  // namespace
}  // namespace hadal
