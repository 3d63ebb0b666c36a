#include "terminal/line_editor.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "terminal/history_file.h"
#include "testing/pseudo_terminal.h"
#include "testing/temp_folder.h"

namespace hadal {
namespace {

using test::PseudoTerminal;

void report(int fd, std::string line) {
  line += '\n';
  [[maybe_unused]] const ssize_t n = ::write(fd, line.data(), line.size());
}

std::string as_text(const Result<LineInput>& input) {
  if (!input.ok()) return "error: " + input.error().what;
  switch (input->kind) {
    case LineInput::Kind::kMessage:
      return json::quote(input->text);
    case LineInput::Kind::kInterrupted:
      return "interrupted";
    case LineInput::Kind::kEnd:
      return "end";
  }
  return "";
}

// A chat without a model: reads messages until the end and reports each.
int read_messages(const LineEditorOptions& options, int report_fd) {
  LineEditor editor(options, stdin, stdout);
  while (true) {
    const Result<LineInput> input = editor.read();
    report(report_fd, as_text(input));
    if (const auto error = editor.take_history_error()) report(report_fd, "history: " + error->what);
    if (input.ok() && input->kind == LineInput::Kind::kEnd) return 0;
  }
}

class Chat : public PseudoTerminal {
 public:
  explicit Chat(const LineEditorOptions& options = {}, const char* term = "xterm")
      : PseudoTerminal([options](int fd) { return read_messages(options, fd); }, term) {}

  // Waits until a line is read: bracketed paste is switched on just before the prompt, and redrawing does not repeat
  // it.
  bool is_ready(std::string_view prompt = ">>> ") { return shows("\033[?2004h") && shows(prompt); }

  // Waits for the prompt, types, and returns what is reported.
  std::string answer(std::string_view keys, std::string_view prompt = ">>> ") {
    if (!is_ready(prompt)) return "(no prompt)";
    type(keys);
    return reported();
  }
};

TEST(LineEditor, a_typed_line_is_a_message) {
  Chat chat;
  EXPECT_EQ(chat.answer("hello\r"), R"("hello")");
  EXPECT_EQ(chat.answer("\r"), R"("")");
  EXPECT_EQ(chat.answer("\x04"), "end");
  EXPECT_EQ(chat.exit_status(), 0);
}

TEST(LineEditor, editing_keys_change_the_line) {
  Chat chat;
  // Home, end, left, delete-word, kill-to-end, backspace.
  EXPECT_EQ(chat.answer("world\x01hello \x05!\r"), R"("hello world!")");
  EXPECT_EQ(chat.answer("abd\033[Dc\r"), R"("abcd")");
  EXPECT_EQ(chat.answer("one two\x17three\r"), R"("one three")");
  EXPECT_EQ(chat.answer("abc\x7f\x7fx\r"), R"("ax")");
}

TEST(LineEditor, characters_beyond_ascii_are_edited_whole) {
  Chat chat;
  EXPECT_EQ(chat.answer("深度x\x7f\x7f求索 é\x7fü🙂\r"), R"("深求索 ü🙂")");
}

TEST(LineEditor, a_utf8_locale_is_used_where_the_environment_has_none) {
  PseudoTerminal terminal([](int fd) {
    ::setenv("LC_ALL", "C", 1);
    return read_messages({}, fd);
  });
  ASSERT_TRUE(terminal.shows(">>> "));
  terminal.type("é\x7f索\r");
  EXPECT_EQ(terminal.reported(), R"("索")");
}

TEST(LineEditor, arrow_up_brings_messages_back) {
  Chat chat;
  EXPECT_EQ(chat.answer("first\r"), R"("first")");
  EXPECT_EQ(chat.answer("second\r"), R"("second")");
  EXPECT_EQ(chat.answer("\033[A\r"), R"("second")");
  EXPECT_EQ(chat.answer("\033[A\033[A!\r"), R"("first!")");
}

TEST(LineEditor, ctrl_r_searches_the_history) {
  Chat chat;
  EXPECT_EQ(chat.answer("the needle\r"), R"("the needle")");
  EXPECT_EQ(chat.answer("hay\r"), R"("hay")");
  EXPECT_EQ(chat.answer("\x12need\r"), R"("the needle")");
}

TEST(LineEditor, ctrl_c_clears_the_line_and_goes_on) {
  Chat chat;
  EXPECT_EQ(chat.answer("wrong\x03right\r"), R"("right")");
}

TEST(LineEditor, ctrl_c_on_an_empty_line_is_reported_once_and_then_ends) {
  Chat chat;
  EXPECT_EQ(chat.answer("\x03"), "interrupted");
  EXPECT_EQ(chat.answer("x\r"), R"("x")");
  EXPECT_EQ(chat.answer("\x03"), "interrupted") << "a message in between starts the count again";
  EXPECT_EQ(chat.answer("\x03"), "end");
}

TEST(LineEditor, ctrl_c_that_cleared_a_line_counts_as_the_first) {
  Chat chat;
  EXPECT_EQ(chat.answer("typed\x03\x03"), "end");
}

TEST(LineEditor, a_backslash_goes_on_in_the_next_line_and_comes_back_as_one_entry) {
  Chat chat;
  ASSERT_TRUE(chat.is_ready());
  chat.type("one\\\r");
  EXPECT_EQ(chat.answer("two\r", "... "), R"("one\ntwo")");
  EXPECT_EQ(chat.answer("\033[A\r"), R"("one\ntwo")");
}

TEST(LineEditor, ctrl_c_drops_an_unfinished_message) {
  Chat chat;
  ASSERT_TRUE(chat.is_ready());
  chat.type("\"\"\"one\r");
  ASSERT_TRUE(chat.is_ready("... "));
  chat.type("two\x03");
  EXPECT_EQ(chat.answer("three\r"), R"("three")");
}

TEST(LineEditor, a_block_in_quotes_is_one_message) {
  Chat chat;
  ASSERT_TRUE(chat.is_ready());
  chat.type("\"\"\"one\r");
  EXPECT_EQ(chat.answer("two\"\"\"\r", "... "), R"("one\ntwo")");
}

TEST(LineEditor, a_paste_of_several_lines_is_one_message_that_can_be_edited) {
  Chat chat;
  EXPECT_EQ(chat.answer("see: \033[200~line one\r\tline two\rline three\r\033[201~!\r"),
            R"("see: line one\n\tline two\nline three!")");
  EXPECT_EQ(chat.answer("\033[A\r"), R"("see: line one\n\tline two\nline three!")");
}

TEST(LineEditor, a_paste_cannot_send_keys_or_move_the_cursor) {
  Chat chat;
  EXPECT_EQ(chat.answer("\033[200~a\x03\x04\x1b[Db\x7f\x9b\033[201~\r"), R"("a[Db")");
}

TEST(LineEditor, a_large_paste_arrives_whole) {
  Chat chat;
  std::string pasted;
  std::string want;
  for (int i = 0; i < 1000; ++i) {
    pasted += "line " + std::to_string(i) + " of a pasted text\r";
    want += (i == 0 ? "line " : "\\nline ") + std::to_string(i) + " of a pasted text";
  }
  EXPECT_EQ(chat.answer("\033[200~" + pasted + "\033[201~\r"), '"' + want + '"');
}

TEST(LineEditor, tab_completes_commands_and_lists_what_is_possible) {
  Chat chat({.prompt = ">>> ", .continuation = "... ", .completions = {"/save", "/set", "/show"}, .history = {}});
  EXPECT_EQ(chat.answer("/sh\t\r"), R"("/show ")");
  ASSERT_TRUE(chat.is_ready());
  chat.type("/s\t");
  ASSERT_TRUE(chat.shows("/save  /set  /show"));
  chat.type("e\t\r");
  EXPECT_EQ(chat.reported(), R"("/set ")");
}

TEST(LineEditor, ctrl_d_on_a_line_with_text_does_not_end_it) {
  Chat chat;
  EXPECT_EQ(chat.answer("ab\x01\x04\r"), R"("b")") << "it deletes the character under the cursor";
}

TEST(LineEditor, a_terminating_signal_puts_the_terminal_back) {
  Chat chat;
  ASSERT_TRUE(chat.is_ready());
  EXPECT_FALSE(chat.is_cooked());
  chat.send_signal(SIGTERM);
  EXPECT_EQ(chat.exit_status(), 128 + SIGTERM);
  EXPECT_TRUE(chat.is_cooked());
}

TEST(LineEditor, the_terminal_is_as_before_after_the_last_message) {
  Chat chat;
  EXPECT_EQ(chat.answer("\x04"), "end");
  EXPECT_EQ(chat.exit_status(), 0);
  EXPECT_TRUE(chat.is_cooked());
  EXPECT_NE(chat.shown().find("\033[?2004l"), std::string::npos);
}

TEST(LineEditor, ctrl_z_where_no_shell_can_resume_it_keeps_the_line) {
  Chat chat;
  EXPECT_EQ(chat.answer("ab\x1a"
                        "c\x7f!\r"),
            R"("ab!")");
}

TEST(LineEditor, a_byte_that_is_no_character_does_not_end_the_chat) {
  Chat chat;
  EXPECT_EQ(chat.answer("\xff\xff"
                        "ab\xff\xff\xff"
                        "cd\r"),
            R"("abcd")");
}

TEST(LineEditor, a_dumb_terminal_gets_no_paste_sequences) {
  Chat chat({}, "dumb");
  ASSERT_TRUE(chat.shows(">>> "));
  chat.type("hello\r");
  EXPECT_EQ(chat.reported(), R"("hello")");
  EXPECT_EQ(chat.shown().find("2004"), std::string::npos);
}

class LineEditorHistory : public testing::Test {
 protected:
  LineEditorHistory() { options_.history = folder_ / "state" / "history"; }

  test::TempFolder folder_;
  LineEditorOptions options_;
};

TEST_F(LineEditorHistory, is_there_again_in_the_next_run) {
  {
    Chat chat(options_);
    EXPECT_EQ(chat.answer("\033[200~two\rlines\033[201~\r"), R"("two\nlines")");
    EXPECT_EQ(chat.answer("\x04"), "end");
    EXPECT_EQ(chat.exit_status(), 0);
  }
  Chat chat(options_);
  EXPECT_EQ(chat.answer("\033[A!\r"), R"("two\nlines!")");
  EXPECT_EQ(HistoryFile(options_.history).load().value(), (std::vector<std::string>{"two\nlines", "two\nlines!"}));
}

TEST_F(LineEditorHistory, that_cannot_be_written_is_told_once_and_stops_nothing) {
  options_.history = "/dev/null/history";
  Chat chat(options_);
  EXPECT_EQ(chat.answer("one\r"), R"("one")");
  EXPECT_EQ(chat.reported(), "history: cannot open the file");
  EXPECT_EQ(chat.answer("two\r"), R"("two")");
  EXPECT_EQ(chat.answer("\033[A\r"), R"("two")");
}

// Messages from a pipe that holds `text`.
std::vector<std::string> piped(const std::string& text) {
  std::FILE* input = std::tmpfile();
  std::fwrite(text.data(), 1, text.size(), input);
  std::rewind(input);
  std::vector<std::string> messages;
  LineEditor editor({}, input, stdout);
  while (messages.empty() || messages.back() != "end") messages.push_back(as_text(editor.read()));
  std::fclose(input);
  return messages;
}

using Texts = std::vector<std::string>;

TEST(LineEditor, a_pipe_is_read_without_prompt_by_the_same_rules) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(piped("one\r\ntwo\\\nthree\n\"\"\"\na\nb\n\"\"\"\nlast"),
            (Texts{R"("one")", R"("two\nthree")", R"("a\nb")", R"("last")", "end"}));
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

TEST(LineEditor, an_empty_pipe_ends_at_once_and_an_open_block_is_a_message) {
  EXPECT_EQ(piped(""), (Texts{"end"}));
  EXPECT_EQ(piped("\"\"\"a\nb"), (Texts{R"("a\nb")", "end"}));
}

TEST(LineEditor, broken_utf8_from_a_pipe_is_replaced) {
  EXPECT_EQ(piped("a\xff\n"), (Texts{"\"a\uFFFD\"", "end"}));
}

TEST(LineEditor, a_line_beyond_the_limit_is_refused_and_the_next_one_read) {
  EXPECT_EQ(piped(std::string((size_t{4} << 20) + 1, 'x') + "\nshort\n"),
            (Texts{"error: line is too long", R"("short")", "end"}));
}

}  // namespace
}  // namespace hadal
