// Added tokens: texts such as "<｜User｜>" that are one id wherever they stand, before any splitting or merging.
//
// They are found in two rounds, as the reference tokenizer does: first those with "normalized": false in the whole
// text, then those with "normalized": true in what is left. In a round the leftmost match wins, then the longest.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace hadal::tokenizer {

using TokenId = int32_t;

// A trie over bytes. Finding takes at most text length x longest token steps.
class TokenTrie {
 public:
  TokenTrie();

  void add(std::string_view content, TokenId id);
  bool is_empty() const { return nodes_.size() == 1; }

  struct Match {
    size_t begin;
    size_t end;
    TokenId id;
  };
  // The leftmost, then longest token in text at or after `from`.
  std::optional<Match> find(std::string_view text, size_t from) const;
  // The token whose content is exactly this.
  std::optional<TokenId> exact(std::string_view content) const;

  uint64_t memory_bytes() const { return nodes_.capacity() * sizeof(Node); }

 private:
  // First child and next sibling: the tokens of a model share long beginnings, so rows of siblings are short.
  struct Node {
    uint32_t first_child = 0;  // 0: none, for the root is nobody's child
    uint32_t next_sibling = 0;
    TokenId id = -1;  // of the token that ends here
    uint8_t byte = 0;
  };
  uint32_t child(uint32_t node, uint8_t byte) const;

  std::vector<Node> nodes_;
  std::array<bool, 256> begins_token_{};
};

class AddedTokenFinder {
 public:
  void add(std::string_view content, TokenId id, bool is_normalized) {
    (is_normalized ? normalized_ : verbatim_).add(content, id);
  }

  std::optional<TokenId> find(std::string_view content) const {
    const std::optional<TokenId> id = verbatim_.exact(content);
    return id ? id : normalized_.exact(content);
  }

  // Calls plain(std::string_view) for what lies between added tokens (never empty) and token(TokenId) for them.
  template <class Plain, class Token>
  void split(std::string_view text, Plain&& plain, Token&& token) const {
    split_by(
        verbatim_, text, [&](std::string_view rest) { split_by(normalized_, rest, plain, token); }, token);
  }

  uint64_t memory_bytes() const { return verbatim_.memory_bytes() + normalized_.memory_bytes(); }

 private:
  template <class Plain, class Token>
  static void split_by(const TokenTrie& trie, std::string_view text, Plain&& plain, Token&& token) {
    size_t at = 0;
    while (const std::optional<TokenTrie::Match> match = trie.find(text, at)) {
      if (match->begin > at) plain(text.substr(at, match->begin - at));
      token(match->id);
      at = match->end;
    }
    if (at < text.size()) plain(text.substr(at));
  }

  TokenTrie verbatim_;    // "normalized": false
  TokenTrie normalized_;  // "normalized": true; there is no normaliser, so only the round differs
};

}  // namespace hadal::tokenizer
