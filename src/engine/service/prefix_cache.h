// The prefix tree of an engine: which checkpoints a prompt should leave behind, and handles that are pages again.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/prefix/prefix_tree.h"

namespace hadal {

class PrefixCache {
 public:
  PrefixCache(Engine& engine, uint64_t budget_bytes);

  struct Found {
    PrefixMatch match;
    StatePrefix prefix;  // to open a sequence from
  };
  Found find(const std::string& scope, std::span<const TokenId> prompt, double now_s);
  // Without counting a hit.
  int64_t reusable(const std::string& scope, std::span<const TokenId> prompt) const;

  // Stores the full pages and kept checkpoints of a sequence.
  void store(const std::string& scope, SequenceId id, double now_s);

  const PrefixTree& tree() const { return tree_; }

 private:
  Engine* engine_;
  PrefixTree tree_;
};

// The page borders of a prompt at which a checkpoint is worth keeping: where its first message and its last
// `n_messages` end, where it parts from what is stored, and where it ends itself. Ascending, without those up to
// `reused`.
std::vector<int64_t> checkpoint_borders(std::span<const int64_t> message_ends, int64_t prompt_tokens, int64_t matched,
                                        int64_t reused, int64_t n_messages, int64_t page_tokens);

}  // namespace hadal
