#include "engine/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "engine/logits.h"
#include "model/device_weights.h"
#include "plan/device_support.h"

namespace hadal {
namespace {

// An engine with float activations agrees with another one to these, whatever the order of their sums.
constexpr double kTolerance = 1e-3;
constexpr double kRoundedTolerance = 2e-3;     // act_* sets
constexpr double kShareWithoutMargins = 0.98;  // positions within the tolerance where choices may be close
constexpr double kShareRounded = 0.90;         // a rounding may flip
constexpr double kNllShareWithoutMargins = 1e-3;
constexpr double kNllShareRounded = 5e-3;
constexpr double kNllShareFast = 2e-2;  // BF16 activations leave the goldens: compare the sum
constexpr double kRouteMargin = 1e-3;   // the prompt was searched for safe margins if its gaps are above
constexpr double kIndexMargin = 5e-4;
constexpr double kGreedyMargin = 2e-2;  // a closer greedy step may go either way

// Collects the differences of one tensor, position by position.
class Differences {
 public:
  Differences(std::string prompt, std::string what, double tolerance) {
    row_.prompt = std::move(prompt);
    row_.what = std::move(what);
    row_.tolerance = tolerance;
  }

  void add(std::string_view where, std::span<const float> ours, std::span<const float> golden) {
    double worst = 0;
    double largest = 0;
    for (size_t i = 0; i < golden.size(); ++i) {
      const double difference = std::abs(static_cast<double>(ours[i]) - static_cast<double>(golden[i]));
      worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
      largest = std::max(largest, std::abs(static_cast<double>(golden[i])));
    }
    count(where, worst <= row_.tolerance, worst, largest == 0 ? worst : worst / largest);
    row_.n += static_cast<int64_t>(golden.size());
  }

  void add_set(std::string_view where, bool equal) {
    count(where, equal, equal ? 0 : 1, equal ? 0 : 1);
    ++row_.n;
  }

  CompareRow finish(double share_needed) {
    row_.share_within = n_positions_ == 0 ? 0 : static_cast<double>(n_within_) / static_cast<double>(n_positions_);
    row_.pass = row_.share_within >= share_needed;
    if (row_.worst_abs > 0) row_.note = "worst at " + worst_at_;
    if (share_needed < 1)
      row_.note += fmt::format("{}{:.0f} % must hold", row_.note.empty() ? "" : ", ", share_needed * 100);
    if (n_positions_ == 0) row_.note = "nothing was compared";
    return row_;
  }

 private:
  void count(std::string_view where, bool within, double abs, double rel) {
    ++n_positions_;
    if (within) ++n_within_;
    if (abs > row_.worst_abs) worst_at_ = where;
    row_.worst_abs = std::max(row_.worst_abs, abs);
    row_.worst_rel = std::max(row_.worst_rel, rel);
  }

  CompareRow row_;
  int64_t n_positions_ = 0;
  int64_t n_within_ = 0;
  std::string worst_at_;
};

// One prompt's goldens, and what the model gives for it.
class PromptComparison final : public StepObserver {
 public:
  PromptComparison(const ModelDescription& description, const Goldens& goldens, std::string prompt, double tolerance,
                   bool wants_layers)
      : description_(description),
        goldens_(goldens),
        prompt_(std::move(prompt)),
        wants_layers_(wants_layers),
        ids_(goldens.numbers<int32_t>(prompt_ + ".ids")),
        nll_(goldens.numbers<float>(prompt_ + ".nll")),
        logits_(prompt_, "logits", tolerance),
        nll_rows_(prompt_, "nll", tolerance),
        streams_(prompt_, "streams", tolerance),
        experts_(prompt_, "experts", 0),
        expert_weights_(prompt_, "expert weights", tolerance),
        index_(prompt_, "index entries", 0),
        index_scores_(prompt_, "index scores", tolerance),
        mtp_(prompt_, "draft logits", tolerance) {
    index_positions(prompt_ + ".logits_pos", logits_row_);
    index_positions(prompt_ + ".stream_pos", stream_row_);
    if (goldens.has_any(prompt_ + ".index.")) index_positions(prompt_ + ".index_pos", index_row_);
    index_positions(prompt_ + ".mtp_pos", mtp_row_);
    last_logits_.resize(static_cast<size_t>(description.vocab_size));
  }

  std::span<const int32_t> ids() const { return ids_; }
  std::vector<int64_t> mtp_positions() const {
    std::vector<int64_t> positions;
    for (const auto& [position, row] : mtp_row_) positions.push_back(position);
    return positions;
  }
  const std::vector<float>& last_logits() const { return last_logits_; }

  bool wants_layers() const override { return wants_layers_; }

  void logits(size_t, int64_t position, std::span<const float> logits) override {
    if (position + 1 < static_cast<int64_t>(ids_.size())) {
      const auto p = static_cast<size_t>(position);
      const auto nll = static_cast<float>(-LogSoftmax(logits)(logits[static_cast<size_t>(ids_[p + 1])]));
      nll_sum_ += static_cast<double>(nll);
      golden_nll_sum_ += static_cast<double>(nll_[p]);
      nll_rows_.add(fmt::format("position {}", position), {&nll, 1}, nll_.subspan(p, 1));
    }
    if (position + 1 >= static_cast<int64_t>(ids_.size()))
      std::copy(logits.begin(), logits.end(), last_logits_.begin());
    const auto found = logits_row_.find(position);
    if (found == logits_row_.end()) return;
    const std::span<const float> golden = row_of(prompt_ + ".logits", found->second, logits.size());
    logits_.add(fmt::format("position {}", position), logits, golden);
    kl_sum_ += kl_divergence(golden, logits);
    ++kl_n_;
  }

  void mtp_logits(size_t, int64_t position, std::span<const float> logits) override {
    mtp_.add(fmt::format("position {}", position), logits,
             row_of(prompt_ + ".mtp_logits", mtp_row_.at(position), logits.size()));
  }

  void streams(size_t, size_t layer, int64_t first_position, int64_t T, const float* x) override {
    const auto floats = static_cast<size_t>(description_.hc_mult * description_.hidden);
    for (const auto& [position, row] : stream_row_) {
      if (position < first_position || position >= first_position + T) continue;
      const size_t golden_row = layer * stream_row_.size() + row;
      streams_.add(fmt::format("layer {}, position {}", layer, position),
                   {x + (position - first_position) * static_cast<int64_t>(floats), floats},
                   row_of(prompt_ + ".streams", golden_row, floats));
    }
  }

  void experts(size_t, size_t layer, int64_t first_position, int64_t T, const int32_t* experts,
               const float* weights) override {
    const std::string name = prompt_ + ".experts";
    if (!goldens_.has(name) || layer >= description_.layers.size()) return;
    const auto moe_layer = static_cast<size_t>(moe_layers_before(description_, layer));
    const auto K = static_cast<size_t>(description_.n_experts_per_token);
    const std::span<const int32_t> all = goldens_.numbers<int32_t>(name);
    for (int64_t t = 0; t < T; ++t) {
      const int64_t position = first_position + t;
      if (position >= static_cast<int64_t>(ids_.size())) continue;
      const size_t golden_row = moe_layer * ids_.size() + static_cast<size_t>(position);
      const std::span<const int32_t> golden = all.subspan(golden_row * K, K);
      const std::set<int32_t> ours(experts + t * static_cast<int64_t>(K), experts + (t + 1) * static_cast<int64_t>(K));
      const std::string where = fmt::format("layer {}, position {}", layer, position);
      const bool equal = ours == std::set<int32_t>(golden.begin(), golden.end());
      experts_.add_set(where, equal);
      const auto found = stream_row_.find(position);
      if (!equal || found == stream_row_.end()) continue;
      const std::span<const float> golden_weights =
          row_of(prompt_ + ".expert_weights", moe_layer * stream_row_.size() + found->second, K);
      std::vector<float> ordered(K);
      for (size_t i = 0; i < K; ++i) {
        const int32_t* at =
            std::find(experts + t * static_cast<int64_t>(K), experts + (t + 1) * static_cast<int64_t>(K), golden[i]);
        ordered[i] = weights[at - experts];
      }
      expert_weights_.add(where, ordered, golden_weights);
    }
  }

  void index(size_t, size_t layer, int64_t position, std::span<const int32_t> chosen,
             std::span<const float> scores) override {
    const std::string name = fmt::format("{}.index.L{}", prompt_, layer);
    const auto found = index_row_.find(position);
    if (found == index_row_.end() || !goldens_.has(name)) return;
    const auto topk = static_cast<size_t>(goldens_.dimension(name, 1));
    std::vector<int32_t> golden;
    for (const int32_t j : goldens_.numbers<int32_t>(name).subspan(found->second * topk, topk)) {
      if (j >= 0) golden.push_back(j);
    }
    const std::string where = fmt::format("layer {}, position {}", layer, position);
    index_.add_set(where, std::equal(chosen.begin(), chosen.end(), golden.begin(), golden.end()));
    if (position != index_row_.rbegin()->first) return;
    std::vector<float> visible;
    for (const float s : goldens_.numbers<float>(fmt::format("{}.index_scores_last.L{}", prompt_, layer))) {
      if (s > -1e29f) visible.push_back(s);
    }
    // Entries that are no candidates have no score on either side.
    std::vector<float> ours;
    for (const float s : scores) {
      if (s > -1e29f) ours.push_back(s);
    }
    if (visible.size() != ours.size()) return;
    // Each for itself: where keys are rounded, one that flips changes its own score only.
    for (size_t j = 0; j < visible.size(); ++j) {
      index_scores_.add(fmt::format("{}, entry {}", where, j), std::span(ours).subspan(j, 1),
                        std::span(visible).subspan(j, 1));
    }
  }

  struct Needs {
    double share = 1;        // of positions within the tolerance
    double nll_share = 1;    // of the sum; 1: not asked for
    bool sums_only = false;  // nothing but the sum is judged
  };

  void finish(const Needs& needs, CompareReport& report) {
    const auto take = [&](Differences& differences, bool has_golden) {
      if (!has_golden) return;
      CompareRow row = differences.finish(needs.share);
      if (needs.sums_only) {
        row.pass = true;
        row.note += row.note.empty() ? "not judged" : ", not judged";
      }
      report.rows.push_back(std::move(row));
    };
    take(logits_, true);
    report.worst_abs = std::max(report.worst_abs, report.rows.back().worst_abs);
    report.worst_rel = std::max(report.worst_rel, report.rows.back().worst_rel);
    take(nll_rows_, true);
    CompareRow sum{.prompt = prompt_, .what = "nll sum", .n = static_cast<int64_t>(nll_.size()), .note = ""};
    sum.worst_abs = std::abs(nll_sum_ - golden_nll_sum_);
    sum.worst_rel = golden_nll_sum_ == 0 ? 0 : sum.worst_abs / golden_nll_sum_;
    sum.tolerance = needs.nll_share;
    sum.pass = sum.worst_rel <= needs.nll_share;
    sum.note = fmt::format("{:.4f}, golden {:.4f}", nll_sum_, golden_nll_sum_);
    report.rows.push_back(std::move(sum));
    take(streams_, wants_layers_ && !stream_row_.empty());
    take(experts_, wants_layers_ && goldens_.has(prompt_ + ".experts"));
    take(expert_weights_, wants_layers_ && goldens_.has(prompt_ + ".expert_weights"));
    take(index_, wants_layers_ && !index_row_.empty());
    take(index_scores_, wants_layers_ && !index_row_.empty());
    take(mtp_, !mtp_row_.empty() && !description_.mtp_layers.empty());
  }

  double nll_sum() const { return nll_sum_; }
  double golden_nll_sum() const { return golden_nll_sum_; }
  double kl_sum() const { return kl_sum_; }
  int64_t kl_n() const { return kl_n_; }

 private:
  void index_positions(const std::string& name, std::map<int64_t, size_t>& rows) {
    const std::span<const int32_t> positions = goldens_.numbers<int32_t>(name);
    for (size_t i = 0; i < positions.size(); ++i) rows[positions[i]] = i;
  }
  std::span<const float> row_of(const std::string& name, size_t row, size_t width) const {
    return goldens_.numbers<float>(name).subspan(row * width, width);
  }

  const ModelDescription& description_;
  const Goldens& goldens_;
  std::string prompt_;
  bool wants_layers_;
  std::span<const int32_t> ids_;
  std::span<const float> nll_;
  std::map<int64_t, size_t> logits_row_, stream_row_, index_row_, mtp_row_;
  Differences logits_, nll_rows_, streams_, experts_, expert_weights_, index_, index_scores_, mtp_;
  std::vector<float> last_logits_;
  double nll_sum_ = 0;
  double golden_nll_sum_ = 0;
  double kl_sum_ = 0;
  int64_t kl_n_ = 0;
};

// What goldens.json says about a prompt; infinite gaps when it says nothing.
double about_number(const json::Value& about, const std::string& prompt, std::string_view key, double fallback) {
  const json::Value* prompts = about.find("prompts");
  const json::Value* entry = prompts == nullptr ? nullptr : prompts->find(prompt);
  const json::Value* value = entry == nullptr ? nullptr : entry->find(key);
  return value == nullptr ? fallback : value->as_double().value_or(fallback);
}

// The margin of a greedy step, best minus second logit of ours.
double margin_of(std::span<const float> logits) {
  const int32_t best = argmax(logits);
  float second = -INFINITY;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (static_cast<int32_t>(i) != best) second = std::max(second, logits[i]);
  }
  return static_cast<double>(logits[static_cast<size_t>(best)]) - static_cast<double>(second);
}

// Keeps the logits of one decode step.
class LastLogits final : public StepObserver {
 public:
  void logits(size_t, int64_t, std::span<const float> logits) override { values.assign(logits.begin(), logits.end()); }
  std::vector<float> values;
};

// Over all sets of a comparison.
struct Totals {
  double kl_sum = 0;
  int64_t kl_n = 0;
  double nll_sum = 0;
  double golden_nll_sum = 0;
  int64_t n = 0;
};

struct Run {
  Device& device;
  const ModelWeights& weights;
  const LoadedModel& model;
  const CompareOptions& options;
  const Goldens& goldens;
  const json::Value& about;

  bool is_act(const std::string& prompt) const { return prompt.rfind("act_", 0) == 0; }

  Result<void> compare(const std::string& prompt, CompareReport& report, Totals& totals) const {
    const bool rounded = is_act(prompt);
    // act_kv rounds only what is stored, act_index only the index; act_full also activations of quantised linears.
    const bool is_state_only = prompt == "act_kv" || prompt == "act_index";
    const NumericMode mode = !rounded ? options.mode : is_state_only ? NumericMode::kExact : NumericMode::kPublished;
    const ModelDescription& description = model.description;
    PromptComparison comparison(description, goldens, prompt, rounded ? kRoundedTolerance : kTolerance,
                                mode != NumericMode::kFast);
    const std::span<const int32_t> greedy = goldens.numbers<int32_t>(prompt + ".greedy");
    const auto tokens = static_cast<int64_t>(comparison.ids().size());
    const int64_t context = std::min(description.context_tokens_max, tokens + static_cast<int64_t>(greedy.size()) + 1);
    StateOptions state_options = default_state_options(description, rounded ? NumericMode::kPublished : options.mode);
    if (prompt == "act_index") state_options.kv_rounding = ops::KvRounding::kNone;
    state_options.mtp = !description.mtp_layers.empty() && goldens.has(prompt + ".mtp_pos");
    HADAL_ASSIGN(StateLayout layout, StateLayout::create(description, model.identity, mode, state_options));
    const ForwardOptions forward{.mode = mode,
                                 .tokens_max = std::min<int64_t>(512, tokens),
                                 .context_tokens = context,
                                 .mtp = state_options.mtp,
                                 .has_blocks = model.weights.has_block_types(),
                                 .wants_scores = mode != NumericMode::kFast};
    HADAL_ASSIGN(ForwardPass pass, ForwardPass::create(device, description, weights, forward));
    HADAL_ASSIGN(SequenceState state,
                 SequenceState::create(device, std::make_shared<const StateLayout>(std::move(layout))));
    HADAL_TRY(feed(pass, state, comparison, forward.tokens_max));

    const bool safe_margins = about_number(about, prompt, "min_route_gap", INFINITY) >= kRouteMargin &&
                              about_number(about, prompt, "min_index_gap", INFINITY) >= kIndexMargin;
    PromptComparison::Needs needs;
    if (options.mode == NumericMode::kFast) {
      needs = {.share = 0, .nll_share = INFINITY, .sums_only = true};
    } else if (rounded) {
      needs = {.share = kShareRounded, .nll_share = kNllShareRounded};
    } else if (!safe_margins) {
      needs = {.share = kShareWithoutMargins, .nll_share = kNllShareWithoutMargins};
    }
    comparison.finish(needs, report);
    totals.kl_sum += comparison.kl_sum();
    totals.kl_n += comparison.kl_n();
    totals.nll_sum += comparison.nll_sum();
    totals.golden_nll_sum += comparison.golden_nll_sum();
    totals.n += tokens - 1;
    if (!greedy.empty()) HADAL_TRY(compare_greedy(prompt, pass, state, comparison.last_logits(), greedy, report));
    return {};
  }

  Result<void> feed(ForwardPass& pass, SequenceState& state, PromptComparison& comparison, int64_t chunk) const {
    std::vector<int64_t> mtp_positions = comparison.mtp_positions();
    if (model.description.mtp_layers.empty()) mtp_positions.clear();
    const std::span<const int32_t> ids = comparison.ids();
    const auto T = static_cast<int64_t>(ids.size());
    for (int64_t begin = 0; begin < T; begin += chunk) {
      const int64_t end = std::min(begin + chunk, T);
      std::vector<int64_t> all;
      for (int64_t p = begin; p < end; ++p) all.push_back(p);
      // A step completes the draft rows before its last token.
      std::vector<int64_t> mtp;
      for (const int64_t p : mtp_positions) {
        if (p >= begin - 1 && p < end - 1) mtp.push_back(p);
      }
      const SequenceStep step{.state = &state,
                              .ids = ids.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
                              .logits_at = all,
                              .mtp_logits_at = mtp};
      HADAL_TRY(pass.run({&step, 1}, comparison));
    }
    return {};
  }

  Result<void> compare_greedy(const std::string& prompt, ForwardPass& pass, SequenceState& state,
                              const std::vector<float>& first_logits, std::span<const int32_t> greedy,
                              CompareReport& report) const {
    CompareRow row{.prompt = prompt, .what = "greedy", .tolerance = kGreedyMargin, .note = ""};
    LastLogits last;
    last.values = first_logits;
    size_t i = 0;
    bool is_close = false;
    for (; i < greedy.size(); ++i) {
      const int32_t token = argmax(last.values);
      if (token != greedy[i]) {
        is_close = margin_of(last.values) < kGreedyMargin;
        break;
      }
      ++row.n;
      if (i + 1 == greedy.size()) break;
      const int64_t position = state.length();
      const SequenceStep step{.state = &state, .ids = {&token, 1}, .logits_at = {&position, 1}, .mtp_logits_at = {}};
      HADAL_TRY(pass.run({&step, 1}, last));
    }
    const bool equal = row.n == static_cast<int64_t>(greedy.size());
    row.share_within = static_cast<double>(row.n) / static_cast<double>(greedy.size());
    row.pass = equal || is_close || options.mode == NumericMode::kFast;
    row.note = equal ? fmt::format("{} tokens equal", row.n)
                     : fmt::format("token {} differs{}", row.n, is_close ? ", the two best are within 0.02" : "");
    if (!equal && !is_close) report.greedy_equal = false;
    report.rows.push_back(row);
    return {};
  }
};

Error nothing_to_compare(const Goldens& goldens, std::string want, std::string_view asked) {
  return Error{.code = ErrorCode::kNotFound,
               .what = "the goldens have nothing to compare in this mode",
               .in = std::string(goldens.name()),
               .want = std::move(want),
               .found = fmt::format("{}; in the file: {}", asked, fmt::join(goldens.sets(), ", ")),
               .hint = "choose another --mode, or name other sets"};
}

}  // namespace

Result<CompareReport> compare_with_goldens(const std::shared_ptr<const LoadedModel>& model, const Goldens& goldens,
                                           const json::Value& about, const CompareOptions& options,
                                           const std::function<void(int64_t, int64_t)>& progress) {
  const CpuDevice::Options cpu_options{.n_threads = options.engine.n_threads,
                                       .pin = options.engine.pin,
                                       .level = options.engine.cpu_level.value_or(detected_cpu_level())};
  HADAL_TRY(
      check_device_support(options.engine.device.kind, model->description, model->weights.weights(), options.mode));
  HADAL_ASSIGN(const std::unique_ptr<Device> device, open_device(options.engine.device, cpu_options));
  HADAL_ASSIGN(const DeviceWeights weights, DeviceWeights::create(*device, model->weights.weights(), true));
  const Run run{*device, weights.weights(), *model, options, goldens, about};
  for (const std::string& name : options.prompts) {
    if (goldens.sets().count(name) == 0) return nothing_to_compare(goldens, "sets with P.ids", name);
  }
  std::vector<std::string> chosen;
  for (const std::string& prompt : goldens.sets()) {
    const bool belongs = run.is_act(prompt) == (options.mode == NumericMode::kPublished);
    const bool named = std::find(options.prompts.begin(), options.prompts.end(), prompt) != options.prompts.end();
    if (options.prompts.empty() ? belongs : named) chosen.push_back(prompt);
  }
  if (chosen.empty()) {
    const bool wants_rounded = options.mode == NumericMode::kPublished;
    return nothing_to_compare(goldens, wants_rounded ? "sets named act_*" : "sets with P.ids", "none");
  }
  CompareReport report;
  Totals totals;
  for (size_t i = 0; i < chosen.size(); ++i) {
    progress(static_cast<int64_t>(i), static_cast<int64_t>(chosen.size()));
    HADAL_TRY(goldens.check(chosen[i], model->description));
    HADAL_TRY(run.compare(chosen[i], report, totals));
  }
  report.kl_mean = totals.kl_n == 0 ? 0 : totals.kl_sum / static_cast<double>(totals.kl_n);
  if (options.mode == NumericMode::kFast) {
    // BF16 activations leave the goldens token by token; what must hold is the likelihood of all the text.
    CompareRow row{.prompt = "all", .what = "nll sum", .n = totals.n, .tolerance = kNllShareFast, .note = ""};
    row.worst_abs = std::abs(totals.nll_sum - totals.golden_nll_sum);
    row.worst_rel = row.worst_abs / totals.golden_nll_sum;
    row.pass = row.worst_rel <= row.tolerance;
    row.note = fmt::format("{:.4f}, golden {:.4f}", totals.nll_sum, totals.golden_nll_sum);
    report.rows.push_back(std::move(row));
  }
  report.pass = std::all_of(report.rows.begin(), report.rows.end(), [](const CompareRow& row) { return row.pass; });
  return report;
}

json::Value compare_to_json(const CompareReport& report) {
  json::Value goldens = json::Value::array();
  for (const CompareRow& row : report.rows) {
    json::Value r = json::Value::object();
    r.set("prompt", json::Value::string(row.prompt));
    r.set("what", json::Value::string(row.what));
    r.set("n", json::Value::number(row.n));
    r.set("worst_abs", json::Value::number(row.worst_abs));
    r.set("worst_rel", json::Value::number(row.worst_rel));
    r.set("share_within", json::Value::number(row.share_within));
    r.set("tolerance", json::Value::number(row.tolerance));
    r.set("pass", json::Value::boolean(row.pass));
    r.set("note", json::Value::string(row.note));
    goldens.push(std::move(r));
  }
  json::Value value = json::Value::object();
  value.set("pass", json::Value::boolean(report.pass));
  value.set("worst_abs", json::Value::number(report.worst_abs));
  value.set("worst_rel", json::Value::number(report.worst_rel));
  value.set("kl_mean", json::Value::number(report.kl_mean));
  value.set("greedy_equal", json::Value::boolean(report.greedy_equal));
  value.set("goldens", std::move(goldens));
  return value;
}

}  // namespace hadal
