#include "engine/service/prefix_cache.h"

#include <algorithm>
#include <set>

namespace hadal {
namespace {

PrefixTreeOptions tree_options(const StateLayout& layout, uint64_t budget_bytes) {
  return {.budget_bytes = budget_bytes,
          .page_tokens = layout.page_tokens,
          .page_bytes = static_cast<uint64_t>(layout.page_bytes),
          .checkpoint_bytes = layout.is_append_only() ? 0 : static_cast<uint64_t>(layout.checkpoint_bytes)};
}

}  // namespace

PrefixCache::PrefixCache(Engine& engine, uint64_t budget_bytes)
    : engine_(&engine), tree_(tree_options(engine.layout(), budget_bytes)) {}

PrefixCache::Found PrefixCache::find(const std::string& scope, std::span<const TokenId> prompt, double now_s) {
  Found found{.match = tree_.hit(scope, prompt, now_s), .prefix = {}};
  for (const PrefixHandle& page : found.match.pages) {
    found.prefix.pages.push_back(std::static_pointer_cast<const StatePage>(page));
  }
  found.prefix.checkpoint = std::static_pointer_cast<const StateCheckpoint>(found.match.checkpoint);
  return found;
}

int64_t PrefixCache::reusable(const std::string& scope, std::span<const TokenId> prompt) const {
  return tree_.find(scope, prompt).reused;
}

void PrefixCache::store(const std::string& scope, SequenceId id, double now_s) {
  const auto full_pages = engine_->full_pages(id);
  const std::vector<PrefixHandle> pages(full_pages.begin(), full_pages.end());
  std::vector<PrefixTree::Kept> checkpoints;
  for (const auto& checkpoint : engine_->kept_checkpoints(id)) {
    checkpoints.push_back({.length = checkpoint->length, .handle = checkpoint});
  }
  tree_.insert(scope, engine_->tokens(id), pages, checkpoints, now_s);
}

std::vector<int64_t> checkpoint_borders(std::span<const int64_t> message_ends, int64_t prompt_tokens, int64_t matched,
                                        int64_t reused, int64_t n_messages, int64_t page_tokens) {
  std::set<int64_t> ends = {prompt_tokens, matched};
  if (!message_ends.empty()) ends.insert(message_ends.front());
  const size_t n = std::min(message_ends.size(), static_cast<size_t>(n_messages));
  for (const int64_t end : message_ends.last(n)) ends.insert(end);
  std::vector<int64_t> borders;
  for (const int64_t end : ends) {
    const int64_t border = end / page_tokens * page_tokens;
    if (border > reused && (borders.empty() || borders.back() != border)) borders.push_back(border);
  }
  return borders;
}

}  // namespace hadal
