#include "chat.h"

#include <fmt/format.h>

#include <utility>

#include "base/format.h"
#include "base/utf8.h"
#include "run_report.h"
#include "saved_conversation.h"
#include "terminal/interrupt.h"
#include "terminal/line_editor.h"
#include "terminal/output.h"
#include "terminal/visible_text.h"

namespace hadal::cli {
namespace {

constexpr uint64_t kAttachedBytesMax = 16 << 20;

// A chat and all that its commands change. Answers go to stdout; everything else is a notice, on stderr.
class Chat {
 public:
  Chat(Engine& engine, ChatOptions options, SequenceId id)
      : engine_(engine),
        options_(std::move(options)),
        conversation_(options_.conversation),
        settings_(options_.settings),
        notices_(options_.printer.err),
        id_(id) {}

  Result<int> run();

 private:
  void take(const std::string& text);
  void say(std::string text);
  void answer_last();
  void start_anew_after(const Error& error);
  Result<void> obey(const ChatCommand& command);
  void set_think(const ChatCommand& command);
  void set_system(const std::string& text);
  void show() const;
  Result<void> attach(const std::string& path);
  Result<void> save(const std::string& name);
  Result<void> resume(const std::string& name);
  Result<void> clear();
  // Takes back the last user message and all behind it; nothing when there is none.
  std::optional<std::string> take_back();

  void notice(std::string_view text) const { write_notice(notices_.wrap(Tone::kDim, text) + "\n"); }
  void complain(const Error& error) const { write_notice(notices_.wrap(Tone::kRed, error.to_string()) + "\n"); }

  Engine& engine_;
  ChatOptions options_;
  Conversation conversation_;
  ChatSettings settings_;
  Style notices_;
  SequenceId id_;
  Interrupts interrupts_;
  std::string attached_;  // put in front of the next message
  bool quits_ = false;
};

LineEditorOptions editor_options() {
  LineEditorOptions options;
  options.completions = chat_command_names();
  if (Result<fs::path> folder = state_folder(); folder.ok()) options.history = *folder / "history";
  return options;
}

Result<int> Chat::run() {
  LineEditor editor(editor_options(), stdin, stdout);
  if (options_.printer.out.is_terminal) {
    notice(fmt::format("{}, {} tokens of context. /help lists the commands, Ctrl-D leaves.",
                       engine_.model().files.place(),
                       format_count(static_cast<uint64_t>(engine_.options().context_tokens))));
  }
  if (!options_.first_message.empty()) say(std::exchange(options_.first_message, {}));
  while (!quits_) {
    Result<LineInput> input = editor.read();
    if (const std::optional<Error> problem = editor.take_history_error()) complain(*problem);
    if (!input.ok()) {
      complain(input.error());
      if (input.error().code == ErrorCode::kIo) return std::move(input).error();
      continue;
    }
    if (input->kind == LineInput::Kind::kEnd) break;
    if (input->kind == LineInput::Kind::kInterrupted) {
      notice("Ctrl-C again or Ctrl-D leaves.");
      continue;
    }
    take(input->text);
  }
  return 0;
}

void Chat::take(const std::string& text) {
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) return;
  if (!is_chat_command(text)) return say(text);
  const Result<ChatCommand> command = parse_chat_command(text);
  if (!command.ok()) return complain(command.error());
  if (const Result<void> done = obey(*command); !done.ok()) complain(done.error());
}

void Chat::say(std::string text) {
  if (!attached_.empty()) text = std::exchange(attached_, {}) + "\n\n" + text;
  conversation_.messages.push_back(user_message(text));
  answer_last();
}

void Chat::answer_last() {
  interrupts_.reset();
  AnswerPrinter printer(options_.printer, stdout);
  const GenerationControl control{.now_s = options_.printer.now_s,
                                  .is_cancelled = [&] { return interrupts_.is_stop_requested(); }};
  const Result<Generated> generated = answer(engine_, id_, conversation_, settings_, control, printer);
  if (const Result<void> written = printer.finish(); !written.ok()) complain(written.error());
  if (!generated.ok()) {
    // The message has no answer; the next one would join it.
    conversation_.messages.pop_back();
    complain(generated.error());
    return start_anew_after(generated.error());
  }
  if (settings_.sampling.logprobs) {
    write_notice(logprobs_table(printer.sampled(), *engine_.model().tokenizer));
  }
  std::string end;
  if (generated->finish_reason == FinishReason::kCancelled) end = "stopped; ";
  if (generated->finish_reason == FinishReason::kLength) end = "cut off at the limit of length; ";
  if (options_.shows_speed || !end.empty()) notice(fmt::format("[{}{}]", end, speed_line(generated->usage)));
}

// An error inside a step leaves a sequence that can only be closed; the next message is read from the beginning.
void Chat::start_anew_after(const Error& error) {
  if (error.code == ErrorCode::kLimit || error.code == ErrorCode::kInvalid) return;  // found before any step
  const Result<SequenceId> fresh = engine_.open();
  if (!fresh.ok()) return complain(fresh.error());
  engine_.close(std::exchange(id_, *fresh));
}

Result<void> Chat::obey(const ChatCommand& command) {
  using Kind = ChatCommand::Kind;
  switch (command.kind) {
    case Kind::kHelp:
      write_notice(chat_help());
      return {};
    case Kind::kThink:
      set_think(command);
      return {};
    case Kind::kSystem:
      set_system(command.text);
      return {};
    case Kind::kSet:
      return apply_setting(settings_, command.name, command.text, options_.settings,
                           engine_.model().description.vocab_size);
    case Kind::kShow:
      show();
      return {};
    case Kind::kFile:
      return attach(command.text);
    case Kind::kSave:
      return save(command.name);
    case Kind::kResume:
      return resume(command.name);
    case Kind::kClear:
      return clear();
    case Kind::kRetry:
      if (std::optional<std::string> text = take_back()) {
        conversation_.messages.push_back(user_message(*text));
        answer_last();
      } else {
        notice("There is no message yet.");
      }
      return {};
    case Kind::kUndo:
      notice(take_back() ? "The last message and its answer are taken back." : "There is no message yet.");
      return {};
    case Kind::kQuit:
      quits_ = true;
      return {};
  }
  return {};
}

void Chat::set_think(const ChatCommand& command) {
  conversation_.think = command.think;
  conversation_.effort_level = command.effort_level;
  notice(command.think == ChatCommand::Think::kOff ? "Answers come without reasoning."
                                                   : "Reasoning comes before the answer.");
}

void Chat::set_system(const std::string& text) {
  conversation_.system = text;
  notice(text.empty() ? "There is no system prompt." : "The system prompt is set, for the whole conversation.");
}

void Chat::show() const {
  const auto line = [](std::string_view name, std::string_view value) {
    write_notice(fmt::format("  {:<19} {}\n", name, value));
  };
  write_notice(describe_settings(settings_));
  line("think", think_name(conversation_));
  line("tools", conversation_.tools.is_null() ? "none" : fmt::format("{}", conversation_.tools.items().size()));
  line("system", conversation_.system.empty() ? "none" : without_controls(conversation_.system));
  line("context", fmt::format("{} of {} tokens, {} messages", format_count(static_cast<uint64_t>(engine_.length(id_))),
                              format_count(static_cast<uint64_t>(engine_.options().context_tokens)),
                              conversation_.messages.size()));
}

Result<void> Chat::attach(const std::string& path) {
  HADAL_ASSIGN(const std::string text, read_file(path, kAttachedBytesMax));
  if (!utf8::is_valid(text)) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "the file is not text",
                 .in = path,
                 .want = "UTF-8",
                 .found = "other bytes",
                 .hint = ""};
  }
  attached_ += (attached_.empty() ? "" : "\n\n") + text;
  notice(fmt::format("{} will stand in front of your next message.", format_bytes(text.size())));
  return {};
}

Result<void> Chat::save(const std::string& name) {
  HADAL_ASSIGN(const fs::path path, save_conversation(conversation_, engine_, id_, name));
  notice(fmt::format("Saved as {}.", path.string()));
  return {};
}

Result<void> Chat::resume(const std::string& name) {
  HADAL_ASSIGN(ResumedConversation resumed, resume_conversation(engine_, name));
  engine_.close(std::exchange(id_, resumed.id));
  conversation_ = std::move(resumed.conversation);
  if (resumed.state_problem) {
    notice(fmt::format("The state beside it is not used ({}); the messages will be read again.",
                       resumed.state_problem->what));
  }
  notice(fmt::format("{} messages are back.", conversation_.messages.size()));
  return {};
}

Result<void> Chat::clear() {
  HADAL_ASSIGN(const SequenceId fresh, engine_.open());
  engine_.close(std::exchange(id_, fresh));
  conversation_.messages.clear();
  attached_.clear();
  notice("The conversation is forgotten.");
  return {};
}

std::optional<std::string> Chat::take_back() {
  std::vector<Message>& messages = conversation_.messages;
  while (!messages.empty()) {
    const Message last = messages.back();
    messages.pop_back();
    if (last.role == Role::kUser) return last.text();
  }
  return std::nullopt;
}

}  // namespace

Result<int> run_chat(Engine& engine, ChatOptions options) {
  HADAL_ASSIGN(const SequenceId id, engine.open());
  Chat chat(engine, std::move(options), id);
  return chat.run();
}

}  // namespace hadal::cli
