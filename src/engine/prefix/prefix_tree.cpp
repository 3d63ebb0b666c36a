#include "engine/prefix/prefix_tree.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace hadal {
namespace {

int64_t common_prefix(std::span<const int32_t> a, std::span<const int32_t> b) {
  const size_t n = std::min(a.size(), b.size());
  const auto differ = std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(n), b.begin());
  return differ.first - a.begin();
}

bool is_used_elsewhere(const PrefixHandle& handle) {
  return handle.use_count() > 1;
}

struct LexicographicLess {
  using is_transparent = void;
  bool operator()(std::span<const int32_t> a, std::span<const int32_t> b) const {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
  }
};

}  // namespace

std::string_view prefix_end_name(PrefixEnd end) {
  switch (end) {
    case PrefixEnd::kNothingStored:
      return "nothing stored";
    case PrefixEnd::kPromptEnds:
      return "prompt ends";
    case PrefixEnd::kStoredEnds:
      return "stored text ends";
    case PrefixEnd::kTokenDiffers:
      return "token differs";
  }
  return "?";
}

// A page; the root of a scope is an empty one.
struct PrefixTree::Node {
  std::vector<int32_t> tokens = {};
  PrefixHandle page;
  PrefixHandle checkpoint;
  Node* parent = nullptr;
  double hits = 0;  // as of hit_s
  double hit_s = 0;
  // Keys are the tokens of the nodes themselves, which do not move.
  std::map<std::span<const int32_t>, std::unique_ptr<Node>, LexicographicLess> children = {};

  ~Node() {
    // Chains are as long as a context has pages: taken apart here, because a destructor for each level would be deep.
    std::vector<std::unique_ptr<Node>> below;
    for (auto& [key, child] : children) below.push_back(std::move(child));
    children.clear();
    while (!below.empty()) {
      const std::unique_ptr<Node> node = std::move(below.back());
      below.pop_back();
      for (auto& [key, child] : node->children) below.push_back(std::move(child));
      node->children.clear();
    }
  }
};

// A place to start from, as eviction sees it.
struct PrefixTree::Candidate {
  Node* node = nullptr;
  double worth = 0;
};

PrefixTree::PrefixTree(const PrefixTreeOptions& options) : options_(options) {}
PrefixTree::~PrefixTree() = default;

bool PrefixTree::is_start(const Node& node) const {
  return node.checkpoint != nullptr || (options_.checkpoint_bytes == 0 && node.page != nullptr);
}

PrefixStats PrefixTree::counted(int64_t pages, int64_t checkpoints) const {
  return {.tokens = pages * options_.page_tokens,
          .checkpoints = checkpoints,
          .bytes = static_cast<uint64_t>(pages) * options_.page_bytes +
                   static_cast<uint64_t>(checkpoints) * options_.checkpoint_bytes};
}

PrefixTree::Walk PrefixTree::walk(std::string_view scope, std::span<const int32_t> tokens) const {
  Walk walk;
  const auto root = roots_.find(scope);
  if (root == roots_.end() || root->second->children.empty()) return walk;
  Node* node = root->second.get();
  const auto page_tokens = static_cast<size_t>(options_.page_tokens);
  while (true) {
    const std::span<const int32_t> rest = tokens.subspan(static_cast<size_t>(walk.matched));
    if (rest.empty()) {
      walk.end = PrefixEnd::kPromptEnds;
      return walk;
    }
    if (node->children.empty()) {
      walk.end = PrefixEnd::kStoredEnds;
      return walk;
    }
    const std::span<const int32_t> page = rest.first(std::min(page_tokens, rest.size()));
    // The child with the longest common prefix is a neighbour of where the page would stand.
    const auto behind = node->children.lower_bound(page);
    const Node* best = nullptr;
    int64_t best_common = -1;
    const auto consider = [&](const Node& child) {
      const int64_t common = common_prefix(page, child.tokens);
      if (common > best_common) best = &child, best_common = common;
    };
    if (behind != node->children.end()) consider(*behind->second);
    if (behind != node->children.begin()) consider(*std::prev(behind)->second);
    if (best_common < static_cast<int64_t>(page.size())) {
      walk.matched += best_common;
      walk.end = PrefixEnd::kTokenDiffers;
      walk.stored_token = best->tokens[static_cast<size_t>(best_common)];
      return walk;
    }
    walk.matched += best_common;
    if (page.size() < page_tokens) {
      walk.end = PrefixEnd::kPromptEnds;
      return walk;
    }
    node = const_cast<Node*>(best);
    walk.path.push_back(node);
  }
}

PrefixMatch PrefixTree::describe(const Walk& walk, size_t prompt_tokens) const {
  PrefixMatch match;
  match.matched = walk.matched;
  match.end = walk.end;
  match.stored_token = walk.stored_token;
  for (size_t n = walk.path.size(); n > 0; --n) {
    // One token is always computed: the logits behind the prompt are wanted.
    const int64_t length = static_cast<int64_t>(n) * options_.page_tokens;
    if (!is_start(*walk.path[n - 1]) || length >= static_cast<int64_t>(prompt_tokens)) continue;
    match.reused = length;
    match.checkpoint = walk.path[n - 1]->checkpoint;
    for (size_t i = 0; i < n; ++i) match.pages.push_back(walk.path[i]->page);
    break;
  }
  return match;
}

PrefixMatch PrefixTree::find(std::string_view scope, std::span<const int32_t> tokens) const {
  return describe(walk(scope, tokens), tokens.size());
}

PrefixMatch PrefixTree::hit(std::string_view scope, std::span<const int32_t> tokens, double now_s) {
  latest_s_ = std::max(latest_s_, now_s);
  const Walk found = walk(scope, tokens);
  PrefixMatch match = describe(found, tokens.size());
  if (match.reused > 0) {
    Node& node = *found.path[static_cast<size_t>(match.reused / options_.page_tokens) - 1];
    node.hits = weight_of(node, latest_s_) + 1;
    node.hit_s = latest_s_;
  }
  return match;
}

double PrefixTree::weight_of(const Node& node, double now_s) const {
  return node.hits * std::exp2(-std::max(0.0, now_s - node.hit_s) / options_.half_life_s);
}

void PrefixTree::insert(std::string_view scope, std::span<const int32_t> tokens, std::span<const PrefixHandle> pages,
                        std::span<const Kept> checkpoints, double now_s) {
  latest_s_ = std::max(latest_s_, now_s);
  HADAL_CHECK(pages.size() * static_cast<size_t>(options_.page_tokens) <= tokens.size(), "more pages than tokens");
  auto root = roots_.find(scope);
  if (root == roots_.end()) root = roots_.emplace(std::string(scope), std::make_unique<Node>()).first;
  Node* node = root->second.get();
  size_t next_checkpoint = 0;
  for (size_t i = 0; i < pages.size(); ++i) {
    const auto page =
        tokens.subspan(i * static_cast<size_t>(options_.page_tokens), static_cast<size_t>(options_.page_tokens));
    auto child = node->children.find(page);
    if (child == node->children.end()) {
      auto added = std::make_unique<Node>();
      added->tokens.assign(page.begin(), page.end());
      added->page = pages[i];
      added->parent = node;
      added->hit_s = latest_s_;
      const std::span<const int32_t> key = added->tokens;
      child = node->children.emplace(key, std::move(added)).first;
      ++n_pages_;
    }
    node = child->second.get();
    const int64_t length = static_cast<int64_t>(i + 1) * options_.page_tokens;
    while (next_checkpoint < checkpoints.size() && checkpoints[next_checkpoint].length < length) ++next_checkpoint;
    const bool ends_here = next_checkpoint < checkpoints.size() && checkpoints[next_checkpoint].length == length;
    if (ends_here && node->checkpoint == nullptr) {
      node->checkpoint = checkpoints[next_checkpoint].handle;
      ++n_checkpoints_;
    }
  }
  if (bytes() > options_.budget_bytes) evict(options_.budget_bytes - options_.budget_bytes / 10, latest_s_);
}

// Every place to start from that could go, with what it is worth. Depth first without recursion: chains are long.
void PrefixTree::collect(Node& root, double now_s, std::vector<Candidate>& candidates) const {
  struct Visit {
    Node* node;
    int64_t length;
    int64_t lower;  // the checkpoint below
  };
  std::vector<Visit> visits = {{&root, 0, 0}};
  while (!visits.empty()) {
    const Visit visit = visits.back();
    visits.pop_back();
    int64_t lower = visit.lower;
    if (visit.length > 0 && is_start(*visit.node)) {
      const bool frees_pages = visit.node->children.empty();
      const auto saved = static_cast<double>(visit.length - visit.lower);
      const double bytes =
          static_cast<double>(options_.checkpoint_bytes) +
          (frees_pages ? saved / static_cast<double>(options_.page_tokens) * static_cast<double>(options_.page_bytes)
                       : 0) +
          1;
      if (!is_used_elsewhere(visit.node->checkpoint != nullptr ? visit.node->checkpoint : visit.node->page)) {
        candidates.push_back({visit.node, (weight_of(*visit.node, now_s) + 1) * saved / bytes});
      }
      lower = visit.length;
    }
    for (auto& [key, child] : visit.node->children) {
      visits.push_back({child.get(), visit.length + options_.page_tokens, lower});
    }
  }
}

// Removes leaves that lead nowhere: from `node` up to the first that is a place to start from or has other children.
void PrefixTree::prune_upwards(Node* node) {
  while (node->parent != nullptr && node->children.empty() && node->checkpoint == nullptr) {
    Node* const parent = node->parent;
    parent->children.erase(std::span<const int32_t>(node->tokens));
    --n_pages_;
    node = parent;
    if (options_.checkpoint_bytes == 0) return;  // every page is worth something by itself
  }
}

void PrefixTree::drop_checkpoint(Node* node) {
  if (node->checkpoint != nullptr) {
    node->checkpoint.reset();
    --n_checkpoints_;
  }
  prune_upwards(node);
}

// Pages behind the last checkpoint of each branch only say where prompts part.
void PrefixTree::drop_dead_pages(Node& root) {
  if (options_.checkpoint_bytes == 0) return;
  std::vector<Node*> leaves;
  std::vector<Node*> visits = {&root};
  while (!visits.empty()) {
    Node* node = visits.back();
    visits.pop_back();
    if (node->children.empty()) leaves.push_back(node);
    for (auto& [key, child] : node->children) visits.push_back(child.get());
  }
  for (Node* leaf : leaves) prune_upwards(leaf);
}

uint64_t PrefixTree::evict(uint64_t target_bytes, double now_s) {
  latest_s_ = std::max(latest_s_, now_s);
  const uint64_t before = bytes();
  if (bytes() > target_bytes) {
    for (auto& [scope, root] : roots_) drop_dead_pages(*root);
  }
  // Each round drops a part, because what goes changes the worth of what stays.
  while (bytes() > target_bytes) {
    std::vector<Candidate> candidates;
    for (auto& [scope, root] : roots_) collect(*root, latest_s_, candidates);
    // Without checkpoints only leaves can go: the others hold up what is above them.
    if (options_.checkpoint_bytes == 0) {
      std::erase_if(candidates, [](const Candidate& c) { return !c.node->children.empty(); });
    }
    if (candidates.empty()) break;
    const size_t n = std::max<size_t>(1, candidates.size() / 8);
    const auto less = [](const Candidate& a, const Candidate& b) { return a.worth < b.worth; };
    std::nth_element(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(n - 1), candidates.end(),
                     less);
    std::sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(n), less);
    for (size_t i = 0; i < n && bytes() > target_bytes; ++i) drop_checkpoint(candidates[i].node);
  }
  for (auto root = roots_.begin(); root != roots_.end();) {
    root = root->second->children.empty() ? roots_.erase(root) : std::next(root);
  }
  return before - bytes();
}

void PrefixTree::clear(std::string_view scope) {
  const auto root = roots_.find(scope);
  if (root == roots_.end()) return;
  const PrefixStats gone = stats(scope);
  n_pages_ -= gone.tokens / options_.page_tokens;
  n_checkpoints_ -= gone.checkpoints;
  roots_.erase(root);
}

void PrefixTree::clear() {
  roots_.clear();
  n_pages_ = 0;
  n_checkpoints_ = 0;
}

void PrefixTree::set_budget(uint64_t budget_bytes, double now_s) {
  options_.budget_bytes = budget_bytes;
  if (bytes() > budget_bytes) evict(budget_bytes, now_s);
}

PrefixStats PrefixTree::stats() const {
  return counted(n_pages_, n_checkpoints_);
}

PrefixStats PrefixTree::stats(std::string_view scope) const {
  const auto root = roots_.find(scope);
  if (root == roots_.end()) return {};
  int64_t pages = 0, checkpoints = 0;
  std::vector<const Node*> visits = {root->second.get()};
  while (!visits.empty()) {
    const Node& node = *visits.back();
    visits.pop_back();
    pages += node.page != nullptr ? 1 : 0;
    checkpoints += node.checkpoint != nullptr ? 1 : 0;
    for (const auto& [key, child] : node.children) visits.push_back(child.get());
  }
  return counted(pages, checkpoints);
}

void PrefixTree::check_invariants() const {
  uint64_t counted_bytes = 0;
  for (const auto& [scope, root] : roots_) counted_bytes += stats(scope).bytes;
  HADAL_CHECK(counted_bytes == bytes(), "bytes", bytes(), "counted", counted_bytes);
  for (const auto& [scope, root] : roots_) {
    std::vector<const Node*> visits = {root.get()};
    while (!visits.empty()) {
      const Node& node = *visits.back();
      visits.pop_back();
      HADAL_CHECK((node.parent == nullptr) == (node.page == nullptr), "a page in every node but the root");
      for (const auto& [key, child] : node.children) {
        HADAL_CHECK(child->parent == &node && key.data() == child->tokens.data(), "a child knows its place");
        visits.push_back(child.get());
      }
    }
  }
}

}  // namespace hadal
