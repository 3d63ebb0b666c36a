// hadal manual FOLDER: man pages and completion scripts as they lie below share/. For the build, so not in --help.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/io.h"
#include "commands.h"
#include "completions.h"
#include "manual_pages.h"

namespace hadal::cli {
namespace {

Result<void> write_text(const fs::path& path, std::string_view text) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) {
    return Error{.code = ErrorCode::kIo,
                 .what = "cannot create the folder",
                 .in = path.parent_path().string(),
                 .want = "",
                 .found = error.message(),
                 .hint = ""};
  }
  HADAL_ASSIGN(AtomicFile file, AtomicFile::create(path));
  HADAL_TRY(file.write(text));
  return file.commit();
}

Result<int> write_manual(const ProgramFacts& facts, const fs::path& folder) {
  for (const ManualPage& page : manual_pages(facts, HADAL_VERSION)) {
    HADAL_TRY(write_text(folder / "man" / "man1" / page.file_name, page.text));
  }
  HADAL_TRY(write_text(folder / "bash-completion" / "completions" / "hadal", bash_completions(facts)));
  HADAL_TRY(write_text(folder / "zsh" / "site-functions" / "_hadal", zsh_completions(facts)));
  HADAL_TRY(write_text(folder / "fish" / "vendor_completions.d" / "hadal.fish", fish_completions(facts)));
  return 0;
}

}  // namespace

void add_manual_command(CLI::App& app, Action& action) {
  auto folder = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("manual", "Write man pages and completion scripts as they lie below share/");
  command->group("");
  command->add_option("folder", *folder, "Where to write")->required()->type_name("FOLDER");
  command->callback(
      [folder, &app, &action] { action = [folder, &app] { return write_manual(program_facts(app), *folder); }; });
}

}  // namespace hadal::cli
