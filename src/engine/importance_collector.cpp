#include "engine/importance_collector.h"

#include "model/convert/convert_plan.h"

namespace hadal {

void ImportanceCollector::input(const Weight& weight, const float* x, int64_t n, int64_t stride) {
  Sums& sums = sums_[weight.data];
  sums.squares.resize(static_cast<size_t>(weight.cols));
  for (int64_t i = 0; i < n; ++i) {
    const float* row = x + i * stride;
    for (size_t c = 0; c < sums.squares.size(); ++c) sums.squares[c] += static_cast<double>(row[c]) * row[c];
  }
  sums.rows += static_cast<double>(n);
}

ImportanceMatrix ImportanceCollector::matrix(const ModelDescription& description, const ModelWeights& weights) const {
  ImportanceMatrix out;
  for (const ConvertTensor& tensor : plan_gguf(description, weights, *find_type_mix("f32"))) {
    const auto* parts = std::get_if<std::vector<MatrixPart>>(&tensor.source);
    if (parts == nullptr || parts->front().is_transposed || parts->front().rows != parts->front().weight->rows)
      continue;
    const auto cols = static_cast<size_t>(parts->front().weight->cols);
    TensorImportance importance{.cols = static_cast<int64_t>(cols), .sums = {}, .counts = {}};
    bool is_met = false;
    for (const MatrixPart& part : *parts) {
      const auto found = sums_.find(part.weight->data);
      const Sums none{.squares = std::vector<double>(cols), .rows = 0};
      const Sums& sums = found == sums_.end() ? none : found->second;
      importance.sums.insert(importance.sums.end(), sums.squares.begin(), sums.squares.end());
      importance.counts.push_back(static_cast<float>(sums.rows));
      is_met = is_met || sums.rows > 0;
    }
    if (is_met) out.tensors.emplace(tensor.out.name, std::move(importance));
  }
  return out;
}

}  // namespace hadal
