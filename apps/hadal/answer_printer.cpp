#include "answer_printer.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/json.h"
#include "base/utf8.h"

namespace hadal::cli {
namespace {

// A prompt of this many tokens is read before anyone looks for a bar.
constexpr int64_t kProgressTokensMin = 256;

json::Value call_to_json(std::string_view name, std::string_view arguments) {
  Result<json::Value> parsed = json::parse(arguments, "arguments");
  json::Value call = json::Value::object();
  call.set("name", json::Value::string(name));
  call.set("arguments", parsed.ok() ? std::move(parsed).value() : json::Value::string(arguments));
  return call;
}

}  // namespace

std::string without_controls(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const utf8::Decoded next = utf8::decode(text);
    const char32_t c = next.code_point;
    const bool is_control = (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0);
    utf8::append(clean, is_control ? utf8::kReplacement : c);
    text.remove_prefix(static_cast<size_t>(next.length));
  }
  return clean;
}

AnswerPrinter::AnswerPrinter(const PrinterOptions& options, std::FILE* out, std::FILE* err)
    : options_(options), style_(options.out), out_(out), err_(err) {}

void AnswerPrinter::prompt_progress(int64_t done, int64_t total) {
  if (total < kProgressTokensMin || !options_.err.has_motion) return;
  const double now_s = options_.now_s();
  if (!progress_) {
    const ProgressOptions progress{
        .label = "reading the prompt", .total = static_cast<uint64_t>(total), .unit = ProgressOptions::Unit::kTokens};
    progress_.emplace(progress, options_.err, now_s);
  }
  fmt::print(err_, "{}", progress_->update(static_cast<uint64_t>(done), now_s, terminal_columns(fileno(err_))));
  std::fflush(err_);
}

void AnswerPrinter::take_progress_away() {
  if (!progress_) return;
  fmt::print(err_, "{}", progress_->clear());
  std::fflush(err_);
  progress_.reset();
}

void AnswerPrinter::token(const Sampled& sampled) {
  take_progress_away();
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
      fmt::print(err_, "a tool call was dropped: {}\n", without_controls(event.text));
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
  if (std::fwrite(text.data(), 1, text.size(), out_) != text.size() || std::fflush(out_) != 0) has_failed_ = true;
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
  take_progress_away();
  end_line();
  part_ = Part::kNothing;
  if (!has_failed_) return {};
  return Error{.code = ErrorCode::kIo,
               .what = "the answer could not be written",
               .in = "standard output",
               .want = "room for all of it",
               .found = "an error of the stream",
               .hint = "a full disk, or a reader that went away"};
}

}  // namespace hadal::cli
