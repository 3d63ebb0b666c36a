#include "tokenizer/added_tokens.h"

namespace hadal::tokenizer {

TokenTrie::TokenTrie() : nodes_(1) {}

uint32_t TokenTrie::child(uint32_t node, uint8_t byte) const {
  uint32_t at = nodes_[node].first_child;
  while (at != 0 && nodes_[at].byte != byte) at = nodes_[at].next_sibling;
  return at;
}

void TokenTrie::add(std::string_view content, TokenId id) {
  begins_token_[static_cast<uint8_t>(content[0])] = true;
  uint32_t node = 0;
  for (const char c : content) {
    const auto byte = static_cast<uint8_t>(c);
    uint32_t next = child(node, byte);
    if (next == 0) {
      next = static_cast<uint32_t>(nodes_.size());
      nodes_.push_back({.first_child = 0, .next_sibling = nodes_[node].first_child, .id = -1, .byte = byte});
      nodes_[node].first_child = next;
    }
    node = next;
  }
  nodes_[node].id = id;
}

std::optional<TokenTrie::Match> TokenTrie::find(std::string_view text, size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (!begins_token_[static_cast<uint8_t>(text[begin])]) continue;
    std::optional<Match> longest;
    uint32_t node = 0;
    for (size_t i = begin; i < text.size(); ++i) {
      node = child(node, static_cast<uint8_t>(text[i]));
      if (node == 0) break;
      if (nodes_[node].id >= 0) longest = Match{begin, i + 1, nodes_[node].id};
    }
    if (longest) return longest;
  }
  return std::nullopt;
}

std::optional<TokenId> TokenTrie::exact(std::string_view content) const {
  uint32_t node = 0;
  for (const char c : content) {
    node = child(node, static_cast<uint8_t>(c));
    if (node == 0) return std::nullopt;
  }
  if (nodes_[node].id < 0) return std::nullopt;
  return nodes_[node].id;
}

}  // namespace hadal::tokenizer
