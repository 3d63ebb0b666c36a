#include "server/answer_session.h"

#include <fmt/format.h>

#include <chrono>

namespace hadal::server {
namespace {

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

const http::Headers kStreamHeaders = {{"cache-control", "no-cache"}, {"x-accel-buffering", "no"}};

}  // namespace

AnswerSession::AnswerSession(std::shared_ptr<http::Exchange> exchange, std::unique_ptr<api::AnswerWriter> writer,
                             const Tokenizer& tokenizer, AnswerSessionOptions options)
    : exchange_(std::move(exchange)),
      writer_(std::move(writer)),
      tokenizer_(&tokenizer),
      options_(std::move(options)),
      choices_(static_cast<size_t>(options_.n)),
      answers_(static_cast<size_t>(options_.n)),
      came_s_(now_s()) {}

void AnswerSession::watch(GenerationService& service, RequestId id) {
  exchange_->on_gone([&service, id] { service.cancel(id); });
  exchange_->on_backlog([&service, id](bool is_full) { service.set_paused(id, is_full); });
}

void AnswerSession::on_strand(std::function<void(AnswerSession&)> task) {
  exchange_->run([self = shared_from_this(), task = std::move(task)] { task(*self); });
}

void AnswerSession::started(const CacheDecision& cache) {
  const double at_s = now_s();
  on_strand([cache, at_s](AnswerSession& self) {
    self.started_s_ = at_s;
    self.cache_ = cache;
    self.options_.facts.prompt_tokens = cache.prompt_tokens;
    self.options_.facts.cached_tokens = cache.reused_tokens;
    if (!self.options_.stream) return;
    http::Headers headers = kStreamHeaders;
    headers.emplace_back("x-request-id", self.options_.request_id);
    headers.emplace_back("request-id", self.options_.request_id);
    self.exchange_->begin(200, std::string(self.writer_->stream_type()), std::move(headers));
    self.exchange_->write(self.writer_->begin(self.options_.facts));
    self.exchange_->keep_alive(self.options_.keep_alive_s, self.writer_->keep_alive());
    self.has_begun_ = true;
  });
}

void AnswerSession::prompt_progress(int64_t done, int64_t total) {
  if (!options_.stream || !options_.wants_progress) return;
  on_strand([done, total](AnswerSession& self) {
    self.exchange_->write(fmt::format(": progress {{\"done\":{},\"total\":{}}}\n\n", done, total));
  });
}

api::LoggedToken AnswerSession::logged(const Sampled& sampled) const {
  api::LoggedToken token;
  token.bytes = std::string(tokenizer_->token_bytes(sampled.token));
  token.logprob = static_cast<double>(sampled.logprob);
  for (int i = 0; i < sampled.n_top_logprobs; ++i) {
    const TokenLogprob& best = sampled.top_logprobs[static_cast<size_t>(i)];
    token.top.push_back({std::string(tokenizer_->token_bytes(best.token)), static_cast<double>(best.logprob)});
  }
  return token;
}

void AnswerSession::token(int choice, const Sampled& sampled, bool is_text) {
  const double at_s = now_s();
  std::optional<api::LoggedToken> kept;
  if (options_.has_logprobs && is_text) kept = logged(sampled);
  on_strand([choice, at_s, kept = std::move(kept)](AnswerSession& self) {
    if (self.first_s_ == 0) self.first_s_ = at_s;
    if (choice == 0 && self.last_s_ > 0) self.gaps_s_.push_back(at_s - self.last_s_);
    if (choice == 0) self.last_s_ = at_s;
    if (kept) self.choices_[static_cast<size_t>(choice)].waiting.push_back(*kept);
  });
}

void AnswerSession::event(int choice, const OutputEvent& event) {
  on_strand([choice, event](AnswerSession& self) { self.take_event(choice, event); });
}

void AnswerSession::take_event(int choice, const OutputEvent& event) {
  using Kind = OutputEvent::Kind;
  Choice& state = choices_[static_cast<size_t>(choice)];
  api::AnswerEvent out{.choice = choice, .event = event, .call_id = "", .logged = {}};
  if (event.kind == Kind::kContent) {
    out.logged = std::move(state.waiting);
    state.waiting.clear();
    state.logged.insert(state.logged.end(), out.logged.begin(), out.logged.end());
  }
  if (event.call_index >= 0) {
    const auto index = static_cast<size_t>(event.call_index);
    while (state.call_ids.size() <= index) state.call_ids.push_back(api::mint_id(options_.call_id_prefix));
    out.call_id = state.call_ids[index];
    if (event.kind == Kind::kCallEnd) state.completed_ids.push_back(out.call_id);
  }
  if (options_.stream) exchange_->write(writer_->event(out));
}

void AnswerSession::finished(int choice, const Generated& generated) {
  on_strand([choice, generated](AnswerSession& self) { self.take_finished(choice, generated); });
}

void AnswerSession::take_finished(int choice, Generated generated) {
  Choice& state = choices_[static_cast<size_t>(choice)];
  std::vector<ToolCall>& calls = generated.message.tool_calls;
  for (size_t i = 0; i < calls.size() && i < state.completed_ids.size(); ++i) calls[i].id = state.completed_ids[i];
  api::ChoiceAnswer& answer = answers_[static_cast<size_t>(choice)];
  if (generated.stop_string >= 0) answer.stop_string = options_.stop[static_cast<size_t>(generated.stop_string)];
  answer.generated = std::move(generated);
  answer.logged = std::move(state.logged);
  if (options_.stream && has_begun_) exchange_->write(writer_->finished(choice, answer));
  if (++n_done_ < options_.n) return;

  const Generated& first = answers_.front().generated;
  if (options_.stream && has_begun_) {
    exchange_->write(writer_->end(answers_));
    exchange_->end();
  } else if (first.finish_reason == FinishReason::kCancelled && first.usage.generated_tokens == 0) {
    return take_failed({.status = 503,
                        .type = "server_error",
                        .code = "shutting_down",
                        .message = "the request was ended before it had an answer",
                        .retry_after_s = 5});
  } else {
    exchange_->respond({.status = 200,
                        .body = json::dump(writer_->whole(options_.facts, answers_)),
                        .headers = {{"x-request-id", options_.request_id}, {"request-id", options_.request_id}}});
  }
  report(200, std::string(finish_reason_name(first.finish_reason)));
}

void AnswerSession::failed(const Error& error) {
  on_strand([error](AnswerSession& self) { self.take_failed(api::of_error(error)); });
}

void AnswerSession::take_failed(const api::ApiError& error) {
  if (has_begun_) {
    exchange_->write(writer_->failed(error));
    exchange_->end();
  } else {
    http::Headers headers = {{"x-request-id", options_.request_id}, {"request-id", options_.request_id}};
    if (error.retry_after_s > 0) headers.emplace_back("retry-after", fmt::format("{:.0f}", error.retry_after_s));
    exchange_->respond(
        {.status = error.status, .body = json::dump(writer_->error(error)), .headers = std::move(headers)});
  }
  report(error.status, "error");
}

void AnswerSession::report(int status, std::string finish_reason) {
  if (is_reported_ || !options_.done) return;
  is_reported_ = true;
  AnswerReport report;
  report.request_id = options_.request_id;
  report.status = status;
  report.finish_reason = std::move(finish_reason);
  report.cache = cache_;
  report.generated_tokens = api::completion_tokens(answers_);
  report.reasoning_tokens = api::reasoning_tokens(answers_);
  report.queue_s = started_s_ > 0 ? started_s_ - came_s_ : 0;
  report.first_token_s = first_s_ > 0 ? first_s_ - came_s_ : 0;
  report.total_s = now_s() - came_s_;
  report.token_gaps_s = std::move(gaps_s_);
  report.choices = status == 200 ? &answers_ : nullptr;
  report.facts = &options_.facts;
  options_.done(report);
}

}  // namespace hadal::server
