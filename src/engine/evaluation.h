// How well a model predicts a text: perplexity, and how far two models or two numeric modes are apart on it.
//
// A text is cut into documents at NUL bytes. Each document is encoded with BOS in front and every token behind BOS is
// scored. A document longer than the context goes on in a further piece that begins with BOS again. This is how the
// held-out figures of the released checkpoints' cards and of models/ are defined, so they can be compared.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "engine/engine.h"

namespace hadal {

struct DocumentScore {
  int64_t tokens = 0;  // scored: without BOS
  int64_t bytes = 0;
  double nll_sum = 0;  // nats
};

// Of the same tokens under a reference: KL(reference || evaluated).
struct Divergence {
  int64_t tokens = 0;
  double kl_sum = 0;  // nats
  double kl_max = 0;  // of one token
  int64_t n_greedy_equal = 0;
  double reference_nll_sum = 0;

  double kl_mean() const { return tokens == 0 ? 0 : kl_sum / static_cast<double>(tokens); }
  double greedy_equal_share() const {
    return tokens == 0 ? 1 : static_cast<double>(n_greedy_equal) / static_cast<double>(tokens);
  }
};

struct Evaluation {
  std::vector<DocumentScore> documents;
  std::optional<Divergence> divergence;  // only with a reference

  int64_t tokens() const;
  int64_t bytes() const;
  double nll() const;  // mean per token, nats
  double perplexity() const;
  double bits_per_byte() const;
};

// The documents of a text, cut at NUL bytes; empty ones are left out. At most documents_max of them, 0: all.
std::vector<std::string_view> split_documents(std::string_view text, int64_t documents_max);

// progress(done, of) in tokens, after every step.
using EvaluationProgress = std::function<void(int64_t done, int64_t of)>;

// Scores the documents with the engine; with a reference (null: none) the same chunks run through both. The reference's
// tokenizer is not asked: it must be of a model with the same vocabulary.
// Errors: NotFound (the model has no tokenizer), Invalid (vocabularies of different sizes), those of Engine.
Result<Evaluation> evaluate(Engine& engine, Engine* reference, const std::vector<std::string_view>& documents,
                            const EvaluationProgress& progress);

// {"tokens", "nll", "ppl", "bits_per_byte", "bytes", "kl": {...}, "documents": [...]}
json::Value evaluation_to_json(const Evaluation& evaluation);

}  // namespace hadal
