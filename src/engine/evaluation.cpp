#include "engine/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"
#include "engine/logits.h"

namespace hadal {
namespace {

// Tokens whose logits are kept until the reference has seen them: 64 x 129,280 x 4 B = 33 MB for the released models.
constexpr int64_t kComparedTokensMax = 64;

// A stretch of a document that fits the context; ids[0] is BOS.
struct Piece {
  size_t document = 0;
  std::vector<int32_t> ids;
};

std::vector<Piece> pieces_of(const Tokenizer& tokenizer, int32_t bos, int64_t context_tokens,
                             const std::vector<std::string_view>& documents) {
  std::vector<Piece> pieces;
  const auto scored_max = static_cast<size_t>(context_tokens - 1);
  for (size_t d = 0; d < documents.size(); ++d) {
    const std::vector<TokenId> ids = tokenizer.encode(documents[d], AddedTokens::kAsText);
    for (size_t begin = 0; begin < ids.size(); begin += scored_max) {
      Piece piece{.document = d, .ids = {bos}};
      const size_t n = std::min(scored_max, ids.size() - begin);
      piece.ids.insert(piece.ids.end(), ids.begin() + static_cast<std::ptrdiff_t>(begin),
                       ids.begin() + static_cast<std::ptrdiff_t>(begin + n));
      pieces.push_back(std::move(piece));
    }
  }
  return pieces;
}

// Scores the logits of one piece as they come.
class Scorer final : public EngineObserver {
 public:
  explicit Scorer(std::span<const int32_t> ids) : ids_(ids) {}

  void logits(SequenceId, int64_t position, std::span<const float> logits) override {
    const auto next = static_cast<size_t>(position) + 1;
    if (next >= ids_.size()) return;
    nll_sum -= LogSoftmax(logits)(logits[static_cast<size_t>(ids_[next])]);
  }

  double nll_sum = 0;

 private:
  std::span<const int32_t> ids_;
};

// Keeps the logits of one chunk, row by row.
class Keeper final : public EngineObserver {
 public:
  explicit Keeper(size_t vocab_size) : vocab_size_(vocab_size) {}

  void logits(SequenceId, int64_t, std::span<const float> logits) override {
    values_.insert(values_.end(), logits.begin(), logits.end());
  }
  std::span<const float> row(size_t i) const { return std::span(values_).subspan(i * vocab_size_, vocab_size_); }
  void clear() { values_.clear(); }

 private:
  size_t vocab_size_;
  std::vector<float> values_;
};

// Reads what the observers of two engines kept of a chunk.
void add_divergence(std::span<const int32_t> next_ids, const Keeper& ours, const Keeper& reference, double& nll_sum,
                    Divergence& divergence) {
  for (size_t i = 0; i < next_ids.size(); ++i) {
    const std::span<const float> p = reference.row(i);
    const std::span<const float> q = ours.row(i);
    const auto next = static_cast<size_t>(next_ids[i]);
    const double kl = kl_divergence(p, q);
    nll_sum -= LogSoftmax(q)(q[next]);
    divergence.reference_nll_sum -= LogSoftmax(p)(p[next]);
    divergence.kl_sum += kl;
    divergence.kl_max = std::max(divergence.kl_max, kl);
    divergence.n_greedy_equal += argmax(p) == argmax(q);
    ++divergence.tokens;
  }
}

Result<double> score_alone(Engine& engine, const Piece& piece, const std::function<void(int64_t)>& on_tokens) {
  HADAL_ASSIGN(const SequenceId id, engine.open());
  Scorer scorer(piece.ids);
  HADAL_TRY(engine.submit(id, piece.ids, LogitsWanted::kAll));
  bool worked = true;
  while (worked) {
    const int64_t before = engine.length(id);
    HADAL_ASSIGN(worked, engine.step(scorer));
    on_tokens(engine.length(id) - before);
  }
  engine.close(id);
  return scorer.nll_sum;
}

Result<double> score_against(Engine& engine, Engine& reference, const Piece& piece, Divergence& divergence,
                             const std::function<void(int64_t)>& on_tokens) {
  HADAL_ASSIGN(const SequenceId id, engine.open());
  HADAL_ASSIGN(const SequenceId reference_id, reference.open());
  Keeper ours(static_cast<size_t>(engine.model().description.vocab_size));
  Keeper theirs(static_cast<size_t>(engine.model().description.vocab_size));
  const std::span<const int32_t> ids(piece.ids);
  double nll_sum = 0;
  // The last token predicts nothing that is in the text.
  const size_t n_scored = ids.size() - 1;
  for (size_t begin = 0; begin < n_scored; begin += kComparedTokensMax) {
    const size_t n = std::min<size_t>(kComparedTokensMax, n_scored - begin);
    ours.clear();
    theirs.clear();
    HADAL_TRY(engine.submit(id, ids.subspan(begin, n), LogitsWanted::kAll));
    HADAL_TRY(engine.run(ours));
    HADAL_TRY(reference.submit(reference_id, ids.subspan(begin, n), LogitsWanted::kAll));
    HADAL_TRY(reference.run(theirs));
    add_divergence(ids.subspan(begin + 1, n), ours, theirs, nll_sum, divergence);
    on_tokens(static_cast<int64_t>(n));
  }
  engine.close(id);
  reference.close(reference_id);
  return nll_sum;
}

Result<void> check_engines(const Engine& engine, const Engine* reference) {
  const LoadedModel& model = engine.model();
  if (!model.tokenizer) {
    return Error{.code = ErrorCode::kNotFound,
                 .what = "the model has no tokenizer",
                 .in = model.files.place(),
                 .want = "tokenizer.json beside the weights",
                 .found = "none",
                 .hint = "a text can only be scored with the tokenizer that the model was trained with"};
  }
  if (engine.options().context_tokens < 2) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "the context is too short to score a text",
                 .in = "--context",
                 .want = "at least 2 tokens: BOS and one that is predicted",
                 .found = fmt::format("{}", engine.options().context_tokens),
                 .hint = ""};
  }
  if (reference == nullptr) return {};
  const int64_t want = model.description.vocab_size;
  const int64_t found = reference->model().description.vocab_size;
  if (want != found || reference->options().context_tokens < engine.options().context_tokens) {
    return Error{
        .code = ErrorCode::kInvalid,
        .what = "the two models cannot be compared on one text",
        .in = reference->model().files.place(),
        .want = fmt::format("{} tokens in the vocabulary, a context of {}", want, engine.options().context_tokens),
        .found = fmt::format("{} tokens, a context of {}", found, reference->options().context_tokens),
        .hint = "compare models that share their tokenizer, with a --context that both allow"};
  }
  return {};
}

}  // namespace

int64_t Evaluation::tokens() const {
  int64_t n = 0;
  for (const DocumentScore& d : documents) n += d.tokens;
  return n;
}

int64_t Evaluation::bytes() const {
  int64_t n = 0;
  for (const DocumentScore& d : documents) n += d.bytes;
  return n;
}

double Evaluation::nll() const {
  double sum = 0;
  for (const DocumentScore& d : documents) sum += d.nll_sum;
  return tokens() == 0 ? 0 : sum / static_cast<double>(tokens());
}

double Evaluation::perplexity() const {
  return std::exp(nll());
}

double Evaluation::bits_per_byte() const {
  return bytes() == 0 ? 0 : nll() * static_cast<double>(tokens()) / std::numbers::ln2 / static_cast<double>(bytes());
}

std::vector<std::string_view> split_documents(std::string_view text, int64_t documents_max) {
  std::vector<std::string_view> documents;
  while (!text.empty() && (documents_max == 0 || static_cast<int64_t>(documents.size()) < documents_max)) {
    const size_t end = std::min(text.find('\0'), text.size());
    if (end > 0) documents.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return documents;
}

Result<Evaluation> evaluate(Engine& engine, Engine* reference, const std::vector<std::string_view>& documents,
                            const EvaluationProgress& progress) {
  HADAL_TRY(check_engines(engine, reference));
  const LoadedModel& model = engine.model();
  Evaluation evaluation;
  for (const std::string_view document : documents) {
    evaluation.documents.push_back({.bytes = static_cast<int64_t>(document.size())});
  }
  if (reference != nullptr) evaluation.divergence.emplace();
  const std::vector<Piece> pieces =
      pieces_of(*model.tokenizer, model.description.bos_token_id, engine.options().context_tokens, documents);
  int64_t of = 0;
  int64_t done = 0;
  for (const Piece& piece : pieces) of += static_cast<int64_t>(piece.ids.size()) - 1;
  const auto on_tokens = [&](int64_t n) { progress(done = std::min(of, done + n), of); };
  for (const Piece& piece : pieces) {
    HADAL_ASSIGN(const double nll_sum,
                 reference == nullptr ? score_alone(engine, piece, on_tokens)
                                      : score_against(engine, *reference, piece, *evaluation.divergence, on_tokens));
    DocumentScore& score = evaluation.documents[piece.document];
    score.tokens += static_cast<int64_t>(piece.ids.size()) - 1;
    score.nll_sum += nll_sum;
  }
  return evaluation;
}

json::Value evaluation_to_json(const Evaluation& evaluation) {
  json::Value value = json::Value::object();
  value.set("tokens", json::Value::number(evaluation.tokens()));
  value.set("nll", json::Value::number(evaluation.nll()));
  value.set("ppl", json::Value::number(evaluation.perplexity()));
  value.set("bits_per_byte", json::Value::number(evaluation.bits_per_byte()));
  value.set("bytes", json::Value::number(evaluation.bytes()));
  if (evaluation.divergence) {
    const Divergence& d = *evaluation.divergence;
    json::Value kl = json::Value::object();
    kl.set("kl_mean", json::Value::number(d.kl_mean()));
    kl.set("kl_max", json::Value::number(d.kl_max));
    kl.set("greedy_equal_share", json::Value::number(d.greedy_equal_share()));
    kl.set("reference_nll",
           json::Value::number(d.tokens == 0 ? 0 : d.reference_nll_sum / static_cast<double>(d.tokens)));
    value.set("kl", std::move(kl));
  }
  json::Value documents = json::Value::array();
  for (const DocumentScore& d : evaluation.documents) {
    json::Value document = json::Value::object();
    document.set("tokens", json::Value::number(d.tokens));
    document.set("bytes", json::Value::number(d.bytes));
    document.set("nll_sum", json::Value::number(d.nll_sum));
    documents.push(std::move(document));
  }
  value.set("documents", std::move(documents));
  return value;
}

}  // namespace hadal
