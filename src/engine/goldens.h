// Golden vectors: what an independent implementation computed for a model, as one safetensors file. Its tensors belong
// to sets, one for each prompt P; T is the prompt's length, and of the rest only P.ids and P.nll must be there.
//
//   P.ids             I32 [T]            the prompt's tokens
//   P.nll             F32 [T - 1]        negative log-likelihood of each token but the first, in nats
//   P.greedy          I32 [n]            the tokens that greedy decoding appends
//   P.logits_pos      I32 [n]            positions with logits, and
//   P.logits          F32 [n, V]           what they are
//   P.stream_pos      I32 [n]            positions with the residual streams behind each layer, and
//   P.streams         F32 [L, n, S, C]     what they are; without the axis S for a plain residual
//   P.experts         I32 [M, T, K]      the experts of every token in each of the M layers that have some, and
//   P.expert_weights  F32 [M, n, K]        their weights at the positions of stream_pos
//   P.index_pos       I32 [n]            positions with chosen entries, and
//   P.index.Ll        I32 [n, topk]        those of layer l, -1 behind the last, and
//   P.index_scores_last.Ll  F32 [entries]  the scores at the last of the positions, at most -1e29 for hidden entries
//   P.mtp_pos         I32 [n]            positions with draft logits, and
//   P.mtp_logits      F32 [n, V]           what they are
//
// The file may be anybody's: parse() checks its form, check() a set against the model. After check() every number can
// be used where the table says that it is.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "formats/safetensors.h"
#include "model/model_description.h"

namespace hadal {

// Layers with experts among the first n: the rows of P.experts.
int64_t moe_layers_before(const ModelDescription& description, size_t n);

class Goldens {
 public:
  // `name` is the file's, for messages; it and the bytes outlive the object. Errors: of parse_safetensors; Corrupt.
  static Result<Goldens> parse(std::span<const std::byte> bytes, std::string_view name);

  std::string_view name() const { return name_; }
  const std::set<std::string>& sets() const { return sets_; }
  bool has(std::string_view tensor) const { return tensors_.find(tensor) != tensors_.end(); }
  // Whether some tensor's name begins so.
  bool has_any(std::string_view prefix) const {
    const auto first = tensors_.lower_bound(prefix);
    return first != tensors_.end() && first->first.starts_with(prefix);
  }

  // The numbers of a tensor; none when it is not there.
  template <class T>
  std::span<const T> numbers(std::string_view tensor) const {
    const auto found = tensors_.find(tensor);
    if (found == tensors_.end()) return {};
    const std::span<const std::byte> bytes = found->second->bytes;
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
  // 0 when the tensor or the axis is not there.
  int64_t dimension(std::string_view tensor, size_t axis) const;

  // Whether a set has the tensors that it needs, in the model's shapes, its token ids, experts and positions in range
  // and its floats finite. Errors: Corrupt, Limit (longer than the model's context).
  [[nodiscard]] Result<void> check(const std::string& set, const ModelDescription& description) const;

 private:
  enum class Presence { kOptional, kNeeded };
  struct Dependent {
    std::string suffix;
    std::vector<int64_t> shape;  // -1: as many as there are positions
    Presence presence;
  };

  Error wrong(const std::string& tensor, std::string want, std::string found) const;
  Result<void> check_shape(const std::string& tensor, DType dtype, const std::vector<int64_t>& shape,
                           Presence presence) const;
  Result<void> check_floats(const std::string& tensor, const std::vector<int64_t>& shape, Presence presence) const;
  // Integers in [begin, end).
  Result<void> check_integers(const std::string& tensor, const std::vector<int64_t>& shape, int64_t begin, int64_t end,
                              Presence presence) const;
  // Ascending positions below T, and the tensors of floats that have a row for each of them.
  Result<void> check_rows(const std::string& set, const std::string& positions, int64_t T,
                          const std::vector<Dependent>& dependents) const;
  Result<void> check_index(const std::string& set, int64_t T, const ModelDescription& description) const;

  std::string_view name_;
  SafetensorsFile file_;
  std::vector<std::vector<uint32_t>> copies_;                // of tensors that lie at odd places
  std::map<std::string_view, const StoredTensor*> tensors_;  // in file_
  std::set<std::string> sets_;
};

}  // namespace hadal
