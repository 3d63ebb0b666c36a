// From a request of any API to what the engine runs: rendered, encoded, with what may not be drawn.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "constrain/machine.h"
#include "engine/loaded_model.h"
#include "engine/service/generation_service.h"
#include "server/api/answer_request.h"
#include "server/replay_store.h"

namespace hadal::server {

// What the server decides where a request says nothing.
struct AnswerDefaults {
  bool thinking = true;
};

// Compiled grammars by what they were made from: agents send the same tools with every request. Thread-safe; the
// machines themselves are the engine thread's.
class GrammarCache {
 public:
  explicit GrammarCache(const LoadedModel& model);
  using Make = std::function<Result<constrain::Grammar>()>;
  Result<std::shared_ptr<constrain::GrammarMachine>> get(const std::string& key, const Make& make);

 private:
  static constexpr size_t kGrammarsMax = 64;
  std::mutex mutex_;
  std::shared_ptr<const constrain::TokenTrie> trie_;
  TokenId eos_;
  std::list<std::pair<std::string, std::shared_ptr<constrain::GrammarMachine>>> kept_;  // the latest used first
};

// What a request is prepared with.
struct AnswerContext {
  const LoadedModel& model;
  const AnswerDefaults& defaults;
  GrammarCache& grammars;
  ReplayStore& replays;
  const std::string& scope;  // whose turns may be replayed
};

// Everything but key, scope and priority. Errors: of rendering, and of what this model or build cannot do, by field.
api::ApiResult<GenerationRequest> prepare_answer(const api::AnswerRequest& request, const AnswerContext& context);

}  // namespace hadal::server
