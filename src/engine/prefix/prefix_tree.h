// The prefix tree: which stored pages and checkpoints the next prompt can start from.
//
// One tree of whole pages for each scope: a node is a page of (mostly) 128 tokens below the page in front of it, so two
// sequences part at a page border even when their tokens part inside a page. A checkpoint hangs at the end of a page.
// Tokens are compared with tokens: there is no hash that could collide.
//
//   scope -> [system prompt, page 0] -> [page 1]* -> [page 2, one chat]*
//                                                 -> [page 2, another]          * a checkpoint: a place to start from
//
// The tree holds handles and counts bytes. What a page or a checkpoint is (device memory, host memory, a file) is its
// owner's business. Nothing is pinned: whoever runs with a page holds its handle, and what others hold is not evicted,
// for it would free nothing.
//
// Pure logic: no clock (times are arguments, seconds of any origin; one that goes back counts as standing still), no
// I/O. Not thread-safe: the engine thread owns it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hadal {

inline constexpr int64_t kPrefixPageTokens =
    128;  // StateLayout::page_tokens; groups of every compressor are whole there

using PrefixHandle = std::shared_ptr<const void>;

// Why a prompt matches no further.
enum class PrefixEnd {
  kNothingStored,  // the scope is empty
  kPromptEnds,     // all of the prompt is stored
  kStoredEnds,     // what is stored ends here, the prompt goes on
  kTokenDiffers,   // what is stored goes on with another token
};
std::string_view prefix_end_name(PrefixEnd end);  // "nothing stored", "prompt ends", ...

struct PrefixMatch {
  int64_t matched = 0;  // the longest common prefix with anything stored, in tokens
  int64_t reused = 0;   // the highest checkpoint at or below min(matched, prompt - 1); 0: from the beginning
  std::vector<PrefixHandle> pages;  // the reused / page_tokens pages below it
  PrefixHandle checkpoint;          // what to go on from; null when reused is 0
  PrefixEnd end = PrefixEnd::kNothingStored;
  int32_t stored_token = -1;  // at position `matched`, with kTokenDiffers
};

struct PrefixStats {
  int64_t tokens = 0;  // stored; shared prefixes count once
  int64_t checkpoints = 0;
  uint64_t bytes = 0;
};

struct PrefixTreeOptions {
  uint64_t budget_bytes = 0;
  int64_t page_tokens = 128;  // StateLayout::page_tokens: groups of every compressor are whole there
  uint64_t page_bytes = 1;
  uint64_t checkpoint_bytes = 1;  // 0: states that can be cut anywhere; every page is a place to start from
  double half_life_s = 6 * 3600;  // hits count half after that
};

class PrefixTree {
 public:
  explicit PrefixTree(const PrefixTreeOptions& options);
  ~PrefixTree();
  PrefixTree(const PrefixTree&) = delete;
  PrefixTree& operator=(const PrefixTree&) = delete;

  // What a prompt of this scope could start from. O(m + log of the branches on the way).
  PrefixMatch find(std::string_view scope, std::span<const int32_t> tokens) const;
  // The same, and what is reused counts as hit.
  PrefixMatch hit(std::string_view scope, std::span<const int32_t> tokens, double now_s);

  struct Kept {
    int64_t length = 0;  // a page border, at least one page
    PrefixHandle handle;
  };
  // Stores the first pages of a sequence and the checkpoints in them; pages.size() * page_tokens tokens are read. What
  // is stored already stays. Then evicts down to the budget, which may take what was just stored. O(tokens).
  void insert(std::string_view scope, std::span<const int32_t> tokens, std::span<const PrefixHandle> pages,
              std::span<const Kept> checkpoints, double now_s);

  // Drops what is worth least until at most `target_bytes` are held, or only things in use elsewhere are left; returns
  // the bytes let go. Pages that lead to no checkpoint go first. A checkpoint is worth (hits, halved with time, + 1) *
  // tokens above the next lower checkpoint / bytes that go with it: one close above another goes early, so a long
  // prompt keeps a thinned row of them. O(n log n) for n nodes; it makes room for a tenth more than asked.
  uint64_t evict(uint64_t target_bytes, double now_s);

  // Forgets a scope, or all.
  void clear(std::string_view scope);
  void clear();

  void set_budget(uint64_t budget_bytes, double now_s);
  uint64_t budget_bytes() const { return options_.budget_bytes; }
  uint64_t bytes() const { return stats().bytes; }
  PrefixStats stats() const;                        // of all scopes. O(1)
  PrefixStats stats(std::string_view scope) const;  // O(n)

  // Our own mistakes: walks everything and stops at a broken invariant. For tests.
  void check_invariants() const;

 private:
  struct Node;
  struct Candidate;

  struct Walk {
    std::vector<Node*> path;  // a node per page that matched whole
    int64_t matched = 0;
    PrefixEnd end = PrefixEnd::kNothingStored;
    int32_t stored_token = -1;
  };
  Walk walk(std::string_view scope, std::span<const int32_t> tokens) const;
  PrefixMatch describe(const Walk& walk, size_t prompt_tokens) const;
  bool is_start(const Node& node) const;
  void collect(Node& root, double now_s, std::vector<Candidate>& candidates) const;
  void drop_dead_pages(Node& root);
  void drop_checkpoint(Node* node);
  void prune_upwards(Node* node);
  PrefixStats counted(int64_t pages, int64_t checkpoints) const;
  double weight_of(const Node& node, double now_s) const;

  PrefixTreeOptions options_;
  int64_t n_pages_ = 0;
  int64_t n_checkpoints_ = 0;
  double latest_s_ = 0;
  std::map<std::string, std::unique_ptr<Node>, std::less<>> roots_;  // by scope
};

}  // namespace hadal
