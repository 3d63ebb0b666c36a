#include "answer_printer.h"

#include <fmt/format.h>
#include "base/json.h"
#include "terminal/output.h"
#include "terminal/visible_text.h"

namespace hadal::cli {
namespace {

json::Value call_to_json(std::string_view name, std::string_view arguments) {
  Result<json::Value> parsed = json::parse(arguments, "arguments");
  json::Value call = json::Value::object();
  call.set("name", json::Value::string(name));
  call.set("arguments", parsed.ok() ? std::move(parsed).value() : json::Value::string(arguments));
  return call;
}

}  // namespace

AnswerPrinter::AnswerPrinter(const PrinterOptions& options, std::FILE* out)
    : options_(options), style_(options.out), out_(out) {}

void AnswerPrinter::prompt_progress(int64_t done, int64_t total) {
  prompt_done_ = static_cast<uint64_t>(done);
  if (progress_) return;
  const ProgressOptions progress{
      .label = "reading the prompt", .total = static_cast<uint64_t>(total), .unit = ProgressOptions::Unit::kTokens};
  progress_.emplace(progress, options_.err, options_.now_s, [this] { return prompt_done_.load(); });
}

void AnswerPrinter::token(const Sampled& sampled, bool /*is_text*/) {
  progress_.reset();
  if (options_.keeps_tokens) sampled_.push_back(sampled);
}

void AnswerPrinter::event(const OutputEvent& event) {
  using Kind = OutputEvent::Kind;
  switch (event.kind) {
    case Kind::kReasoning:
      if (!options_.shows_reasoning || options_.is_silent) return;
      begin(Part::kReasoning);
      write(event.text);
      return;
    case Kind::kContent:
      if (options_.is_silent) return;
      begin(Part::kContent);
      write(event.text);
      return;
    case Kind::kCallBegin:
      call_name_ = event.text;
      call_arguments_.clear();
      return;
    case Kind::kCallArguments:
      call_arguments_ += event.text;
      return;
    case Kind::kCallEnd:
      if (!options_.is_silent) print_call();
      return;
    case Kind::kCallBroken:
      write_notice(fmt::format("a tool call was dropped: {}\n", without_controls(event.text)));
      return;
  }
}

// Between the parts of an answer: a blank line, and the style of the next one.
void AnswerPrinter::begin(Part part) {
  if (part == part_ && part != Part::kCall) return;
  end_line();
  if (part_ == Part::kReasoning || part_ == Part::kContent) put("\n");
  if (part == Part::kReasoning) put(style_.begin(Tone::kDim));
  part_ = part;
}

void AnswerPrinter::end_line() {
  if (part_ == Part::kReasoning) put(style_.end());
  if (is_line_open_) put("\n");
  is_line_open_ = false;
}

void AnswerPrinter::write(std::string_view text) {
  if (text.empty()) return;
  put(options_.out.is_terminal ? without_controls(text) : std::string(text));
  is_line_open_ = text.back() != '\n';
}

void AnswerPrinter::put(std::string_view text) {
  Result<void> written = write_output(out_, text);
  if (!written.ok() && written_.ok()) written_ = std::move(written);
}

void AnswerPrinter::print_call() {
  begin(Part::kCall);
  const json::Value call = call_to_json(call_name_, call_arguments_);
  if (options_.out.is_terminal) {
    write(fmt::format("{}\n{}\n", call_name_, json::dump_pretty(*call.find("arguments"))));
  } else {
    write(json::dump(call) + "\n");
  }
}

Result<void> AnswerPrinter::finish() {
  progress_.reset();
  end_line();
  part_ = Part::kNothing;
  return written_;
}

}  // namespace hadal::cli
