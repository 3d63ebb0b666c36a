// hadal run [MODEL] [PROMPT]: one answer, or a chat.

#include <unistd.h>

#include <CLI/CLI.hpp>

#include "answer_printer.h"
#include "chat.h"
#include "clock.h"
#include "command_line.h"
#include "commands.h"
#include "conversation.h"
#include "run_options.h"
#include "run_report.h"
#include "terminal/interrupt.h"
#include "terminal/output.h"

namespace hadal::cli {
namespace {

constexpr int kExitWrongUsage = 2;
constexpr int kExitInterrupted = 130;

int wrong_usage(const Error& error, const RunOptions& options) {
  write_notice(error_text(error, options.json));
  return kExitWrongUsage;
}

PrinterOptions printer_options(const RunOptions& options) {
  PrinterOptions printer;
  printer.out = inspect_terminal(STDOUT_FILENO);
  printer.err = inspect_terminal(STDERR_FILENO);
  printer.is_silent = options.json;
  printer.shows_reasoning = printer.out.is_terminal || options.show_thinking;
  printer.keeps_tokens = options.logprobs.has_value();
  printer.now_s = now_s;
  return printer;
}

Result<Conversation> new_conversation(const RunOptions& options) {
  Conversation conversation;
  conversation.system = options.system;
  HADAL_TRY(parse_think(options, conversation));
  HADAL_ASSIGN(conversation.tools, read_tools(options));
  return conversation;
}

// One prompt, one answer.
Result<int> answer_once(Engine& engine, const RunOptions& options, Conversation conversation, const std::string& prompt,
                        const ChatSettings& settings, double begin_s) {
  const double ready_s = now_s();
  HADAL_ASSIGN(const SequenceId id, engine.open());
  const PrinterOptions printing = printer_options(options);
  AnswerPrinter printer(printing, stdout);
  Interrupts interrupts;
  const GenerationControl control{.now_s = now_s, .is_cancelled = [&] { return interrupts.is_stop_requested(); }};
  conversation.messages.push_back(user_message(prompt));
  Result<Generated> generated = options.raw ? complete(engine, id, prompt, settings, control, printer)
                                            : answer(engine, id, conversation, settings, control, printer);
  HADAL_TRY(printer.finish());
  HADAL_TRY(generated);
  const Tokenizer& tokenizer = *engine.model().tokenizer;
  if (options.json) {
    const RunTimes times{.load_s = ready_s - begin_s, .first_token_s = ready_s - begin_s + generated->usage.prompt_s};
    HADAL_TRY(write_output(stdout,
                           json::dump_pretty(answer_to_json(*generated, times, printer.sampled(), tokenizer)) + "\n"));
  } else if (options.logprobs) {
    write_notice(logprobs_table(printer.sampled(), tokenizer));
  }
  if (options.verbose || printing.err.is_terminal) {
    const Style style(printing.err);
    write_notice(style.wrap(Tone::kDim, "[" + speed_line(generated->usage) + "]") + "\n");
  }
  return generated->finish_reason == FinishReason::kCancelled ? kExitInterrupted : 0;
}

Result<int> run(const RunOptions& options) {
  const double begin_s = now_s();
  if (const Result<void> usage = check_usage(options); !usage.ok()) return wrong_usage(usage.error(), options);
  HADAL_ASSIGN(const Conversation conversation, new_conversation(options));
  const bool stdin_is_terminal = isatty(STDIN_FILENO) != 0;
  HADAL_ASSIGN(const std::optional<std::string> prompt, read_prompt(options, !stdin_is_terminal));
  const bool chats = options.interactive || (!prompt && stdin_is_terminal && !options.raw && !options.json);
  if (!chats && (!prompt || prompt->empty())) {
    const Error no_prompt{.code = ErrorCode::kInvalid,
                          .what = "there is no prompt",
                          .in = "hadal run",
                          .want = "-p 'TEXT', -f FILE or text in a pipe",
                          .found = "nothing",
                          .hint = "without a prompt, in a terminal, a chat begins"};
    return wrong_usage(no_prompt, options);
  }

  HADAL_ASSIGN(const std::shared_ptr<const LoadedModel> model, options.model.load());
  HADAL_TRY(check_tokenizer(*model));
  const Result<ChatSettings> settings = chat_settings(options, *model);
  if (!settings.ok()) return wrong_usage(settings.error(), options);
  const EngineOptions engine_options = options.model.engine_options(model->description);
  HADAL_ASSIGN(Engine engine, Engine::create(model, engine_options));
  if (options.verbose) write_notice(plan_table(engine.plan()) + "\n");
  if (!chats) return answer_once(engine, options, conversation, *prompt, *settings, begin_s);

  ChatOptions chat{.conversation = conversation,
                   .settings = *settings,
                   .printer = printer_options(options),
                   .first_message = prompt.value_or(""),
                   .shows_speed = false};
  chat.shows_speed = options.verbose || chat.printer.err.is_terminal;
  return run_chat(engine, std::move(chat));
}

}  // namespace

void add_run_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "Chat with a model, or get one answer");
  options->add_to(*command);
  command->footer(
      "Examples:\n"
      "  hadal run                                          chat with the embedded model\n"
      "  hadal run -p 'What is the capital of France?'\n"
      "  git diff | hadal run ./DeepSeek-V4-Flash -p 'Write a commit message.' --think high\n"
      "  hadal run --raw -p 'Once upon a time' --max-tokens 50 --seed 1\n"
      "  hadal run --tools tools.json -p 'What is the weather in Paris?'");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace hadal::cli
