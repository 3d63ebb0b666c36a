#include "constrain/token_trie.h"

#include <algorithm>
#include <string_view>

namespace hadal::constrain {

TokenTrie::TokenTrie(const Tokenizer& tokenizer, int64_t n_tokens) : tokenizer_(&tokenizer), n_tokens_(n_tokens) {
  std::vector<TokenId> ids;
  const auto n = static_cast<TokenId>(std::min(n_tokens, tokenizer.vocab_size()));
  for (TokenId id = 0; id < n; ++id) {
    if (!tokenizer.is_added(id) && !tokenizer.token_bytes(id).empty()) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end(), [&](TokenId a, TokenId b) {
    const std::string_view x = tokenizer.token_bytes(a), y = tokenizer.token_bytes(b);
    return x != y ? x < y : a < b;
  });
  // Sorted by bytes the tree comes in depth-first order; `open` is the path to the last token.
  std::vector<int32_t> open;
  std::string_view last;
  const auto close_to = [&](size_t depth) {
    while (open.size() > depth) {
      nodes_[static_cast<size_t>(open.back())].end = static_cast<int32_t>(nodes_.size());
      open.pop_back();
    }
  };
  for (const TokenId id : ids) {
    const std::string_view bytes = tokenizer.token_bytes(id);
    const auto common =
        static_cast<size_t>(std::mismatch(bytes.begin(), bytes.end(), last.begin(), last.end()).first - bytes.begin());
    close_to(common);
    for (size_t depth = common; depth < bytes.size(); ++depth) {
      open.push_back(static_cast<int32_t>(nodes_.size()));
      TrieNode node;
      node.byte = static_cast<uint8_t>(bytes[depth]);
      node.depth = static_cast<uint16_t>(depth);
      nodes_.push_back(node);
    }
    TrieNode& node = nodes_[static_cast<size_t>(open.back())];
    if (node.n_tokens++ == 0) node.first_token = static_cast<int32_t>(tokens_.size());
    tokens_.push_back(id);
    last = bytes;
  }
  close_to(0);
}

}  // namespace hadal::constrain
