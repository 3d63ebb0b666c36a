// One request on its way: takes what the engine says, renders it in its API, sends it.
//
// The engine thread only hands things over; everything else happens on the connection's strand, in order.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/service/generation_service.h"
#include "server/api/answer_writer.h"
#include "server/http/http_server.h"

namespace hadal::server {

// What became of a request: for the log, the metrics and the store of responses.
struct AnswerReport {
  std::string request_id;
  int status = 200;
  std::string finish_reason;  // of the first choice; "error", "gone"
  CacheDecision cache;
  int64_t generated_tokens = 0;
  int64_t reasoning_tokens = 0;
  double queue_s = 0;
  double first_token_s = 0;  // since the request came; 0: none
  double total_s = 0;
  std::vector<double> token_gaps_s;
  const std::vector<api::ChoiceAnswer>* choices = nullptr;  // of a complete answer
  const api::AnswerFacts* facts = nullptr;
};

struct AnswerSessionOptions {
  std::string request_id;
  api::AnswerFacts facts;
  bool stream = false;
  bool wants_progress = false;
  bool has_logprobs = false;
  int n = 1;
  std::string call_id_prefix = "call_";
  std::vector<std::string> stop;
  double keep_alive_s = 10;
  std::function<void(const AnswerReport&)> done;  // on the strand, once
};

class AnswerSession final : public AnswerSink, public std::enable_shared_from_this<AnswerSession> {
 public:
  AnswerSession(std::shared_ptr<http::Exchange> exchange, std::unique_ptr<api::AnswerWriter> writer,
                const Tokenizer& tokenizer, AnswerSessionOptions options);

  // Behind submit(): what happens when the client leaves or does not read.
  void watch(GenerationService& service, RequestId id);

  void started(const CacheDecision& cache) override;
  void prompt_progress(int64_t done, int64_t total) override;
  void token(int choice, const Sampled& sampled, bool is_text) override;
  void event(int choice, const OutputEvent& event) override;
  void finished(int choice, const Generated& generated) override;
  void failed(const Error& error) override;

 private:
  void on_strand(std::function<void(AnswerSession&)> task);
  api::LoggedToken logged(const Sampled& sampled) const;
  void take_event(int choice, const OutputEvent& event);
  void take_finished(int choice, Generated generated);
  void take_failed(const api::ApiError& error);
  void report(int status, std::string finish_reason);

  struct Choice {
    std::vector<api::LoggedToken> waiting;  // tokens whose text has not come
    std::vector<api::LoggedToken> logged;
    std::vector<std::string> call_ids;       // by call_index
    std::vector<std::string> completed_ids;  // of complete calls, in order
    bool is_done = false;
  };

  std::shared_ptr<http::Exchange> exchange_;
  std::unique_ptr<api::AnswerWriter> writer_;
  const Tokenizer* tokenizer_;
  AnswerSessionOptions options_;
  std::vector<Choice> choices_;
  std::vector<api::ChoiceAnswer> answers_;
  CacheDecision cache_;
  bool has_begun_ = false;
  bool is_reported_ = false;
  int n_done_ = 0;
  double came_s_, started_s_ = 0, first_s_ = 0, last_s_ = 0;
  std::vector<double> gaps_s_;
};

}  // namespace hadal::server
