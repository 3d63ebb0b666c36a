// A model against golden vectors: logits, negative log-likelihoods, streams, experts, index entries, greedy tokens and
// draft logits, each with its worst error. The goldens' format: engine/goldens.h; the tolerances: compare.cpp.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "engine/engine.h"
#include "engine/goldens.h"

namespace hadal {

struct CompareRow {
  std::string prompt;  // "p1"
  std::string what;    // "logits", "streams", "experts", ...
  int64_t n = 0;       // numbers or sets compared
  double worst_abs = 0;
  double worst_rel = 0;     // against the largest golden number of the row's vector
  double share_within = 1;  // of positions (or sets) within the tolerance
  double tolerance = 0;
  bool pass = true;
  std::string note;  // where it is worst, or which rule was used
};

struct CompareReport {
  std::vector<CompareRow> rows = {};
  bool pass = true;
  double worst_abs = 0;  // of logits
  double worst_rel = 0;
  double kl_mean = 0;        // of the golden's distribution against ours, over all logits rows, in nats
  bool greedy_equal = true;  // up to the first step whose margin is below the tolerance
};

struct CompareOptions {
  NumericMode mode = NumericMode::kExact;
  EngineOptions engine = {};              // threads and levels; mode and context are set by the comparison
  std::vector<std::string> prompts = {};  // empty: all that belong to the mode
};

// `about` is goldens.json or null. Exact and fast compare the plain sets,
// published the act_* sets with the roundings that each of them names. progress(done, of) is called between prompts.
Result<CompareReport> compare_with_goldens(const std::shared_ptr<const LoadedModel>& model, const Goldens& goldens,
                                           const json::Value& about, const CompareOptions& options,
                                           const std::function<void(int64_t, int64_t)>& progress);

json::Value compare_to_json(const CompareReport& report);

}  // namespace hadal
