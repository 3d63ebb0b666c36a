// The ordinary tokens of a vocabulary by their bytes, for walks that ask which of them may come next.
//
// A flat depth-first array: a node's subtree is the nodes behind it up to `end`. Tokens of equal bytes stand at one
// node. Added tokens are not in it: a grammar names them.
#pragma once

#include <cstdint>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace hadal::constrain {

struct TrieNode {
  int32_t end = 0;           // one past the last node of its subtree
  int32_t first_token = -1;  // into tokens(); -1: no token ends here
  uint16_t n_tokens = 0;
  uint16_t depth = 0;  // of its byte: 0 for the first
  uint8_t byte = 0;
};

class TokenTrie {
 public:
  // Of ids below `n_tokens`. About 30 ms for 128,000 tokens.
  TokenTrie(const Tokenizer& tokenizer, int64_t n_tokens);

  const std::vector<TrieNode>& nodes() const { return nodes_; }
  const std::vector<TokenId>& tokens() const { return tokens_; }
  int64_t n_tokens() const { return n_tokens_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  const Tokenizer* tokenizer_;
  int64_t n_tokens_;
  std::vector<TrieNode> nodes_;
  std::vector<TokenId> tokens_;  // grouped by node
};

}  // namespace hadal::constrain
