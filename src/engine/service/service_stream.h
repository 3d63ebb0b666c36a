// What the engine thread keeps of a request and of each of its answers.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "engine/service/generation_service.h"

namespace hadal {

struct ServiceRequest {
  RequestId id = 0;
  GenerationRequest request;
  std::shared_ptr<AnswerSink> sink;
};

// One answer: a unit of work for the scheduler, with a sequence while it runs. Its address is its observer's, so it
// stays where it is.
struct ServiceStream final : GenerationObserver {
  ServiceStream(WorkId id, std::shared_ptr<ServiceRequest> owner, int n)
      : work(id), request(std::move(owner)), choice(n) {}

  WorkId work;
  std::shared_ptr<ServiceRequest> request;
  int choice;
  std::optional<SequenceId> sequence;    // while it runs
  std::optional<Generation> generation;  // from its first start on
  int64_t checkpoints_stored = 0;        // length of the last that the tree has

  void prompt_progress(int64_t done, int64_t total) override { request->sink->prompt_progress(done, total); }
  void token(const Sampled& sampled, bool is_text) override { request->sink->token(choice, sampled, is_text); }
  void event(const OutputEvent& event) override { request->sink->event(choice, event); }

  bool is_in_prompt() const { return !generation || generation->usage().generated_tokens == 0; }
  // Everything that its sequence has or will have queued: the prompt and what was drawn.
  std::vector<TokenId> past() const {
    std::vector<TokenId> tokens = request->request.prompt;
    if (generation) tokens.insert(tokens.end(), generation->tokens().begin(), generation->tokens().end());
    return tokens;
  }
};

}  // namespace hadal
