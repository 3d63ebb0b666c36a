// Collects an importance matrix while a text runs through the model: give it to EngineOptions::inputs, then evaluate().
#pragma once

#include <unordered_map>
#include <vector>

#include "forward/input_observer.h"
#include "model/convert/importance.h"
#include "model/model_description.h"
#include "model/weight_set.h"

namespace hadal {

class ImportanceCollector final : public InputObserver {
 public:
  void input(const Weight& weight, const float* x, int64_t n, int64_t stride) override;

  // What was collected, under the names that a GGUF file of this model has. Experts that no token met have count 0;
  // matrices that none met are left out.
  ImportanceMatrix matrix(const ModelDescription& description, const ModelWeights& weights) const;

 private:
  struct Sums {
    std::vector<double> squares;  // [cols]
    double rows = 0;
  };
  std::unordered_map<const std::byte*, Sums> sums_;  // by the matrix's first byte
};

}  // namespace hadal
