// What a sequence has said already, and what that costs a token that would say it again.
//
//   repetition   z = z > 0 ? z / r : z * r          for tokens among the last `window` of prompt and answer
//                (Keskar et al. 2019, "CTRL", section 4.1)
//   presence     z = z - presence                   for tokens that the answer has
//   frequency    z = z - frequency * count          count: how often the answer has it (OpenAI API reference)
//
// Repetition looks at the prompt as well, the other two at the answer alone: so do vLLM and the OpenAI API. The counts
// are kept up to date token by token; applying them costs O(distinct tokens), not O(length).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sampling/options.h"
#include "tokenizer/tokenizer.h"

namespace hadal {

// Whether any penalty of the options changes anything.
bool has_penalties(const SamplingOptions& options);

class TokenHistory {
 public:
  // window as in SamplingOptions. Counts (12 bytes a token of the vocabulary) are kept only when `is_counting`.
  TokenHistory(int64_t vocab_size, int64_t window, bool is_counting);

  // Forgets everything; the tokens of a new answer's prompt.
  void begin(std::span<const TokenId> prompt);
  void push(TokenId token);

  // Subtracts the penalties in place, in the order of the head of this file.
  void apply(const SamplingOptions& options, std::span<float> logits) const;

  std::span<const TokenId> tokens() const { return tokens_; }
  size_t prompt_tokens() const { return n_prompt_; }

 private:
  struct Counts {
    int32_t in_window = 0;
    int32_t in_answer = 0;
    bool is_listed = false;
  };

  void count(TokenId token, bool is_answer);

  int64_t window_;
  std::vector<TokenId> tokens_;  // prompt, then answer
  size_t n_prompt_ = 0;
  std::vector<Counts> counts_;   // by token; empty when not counting
  std::vector<TokenId> listed_;  // distinct tokens seen
};

}  // namespace hadal
