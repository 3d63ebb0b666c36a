#include "state/sequence_state.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace hadal {
namespace {

// A page border needs no copy of the last page: it is full.
bool is_partial(int64_t length, int64_t page_tokens) {
  return length % page_tokens != 0;
}

size_t pages_of(int64_t length, int64_t page_tokens) {
  return static_cast<size_t>((length + page_tokens - 1) / page_tokens);
}

}  // namespace

Result<SequenceState> SequenceState::create(Device& device, std::shared_ptr<const StateLayout> layout) {
  SequenceState state(device);
  state.layout_ = std::move(layout);
  HADAL_ASSIGN(state.tail_, device.allocate(state.layout_->tail_bytes));
  return state;
}

Result<SequenceState> SequenceState::create_from(Device& device, std::shared_ptr<const StateLayout> layout,
                                                 const StatePrefix& prefix) {
  HADAL_ASSIGN(SequenceState state, create(device, std::move(layout)));
  const auto length = static_cast<int64_t>(prefix.pages.size()) * state.layout_->page_tokens;
  const bool is_whole = state.layout_->is_append_only() || length == 0 ||
                        (prefix.checkpoint != nullptr && prefix.checkpoint->length == length);
  HADAL_CHECK(is_whole, "a prefix of", length, "tokens without its checkpoint");
  // Full pages are never written again, so the constness that sharing promises is kept.
  for (const auto& page : prefix.pages) state.pages_.push_back(std::const_pointer_cast<Page>(page));
  if (prefix.checkpoint != nullptr && length > 0) {
    state.checkpoints_.push_back(prefix.checkpoint);
    device.copy(state.tail_.data(), prefix.checkpoint->tail.data(), state.layout_->checkpoint_bytes);
  }
  state.length_ = length;
  return state;
}

int32_t SequenceState::token(int64_t i) const {
  return pages_[static_cast<size_t>(i / layout_->page_tokens)]->ids[static_cast<size_t>(i % layout_->page_tokens)];
}

std::vector<int32_t> SequenceState::tokens() const {
  std::vector<int32_t> ids;
  ids.reserve(static_cast<size_t>(length_));
  for (int64_t i = 0; i < length_; ++i) ids.push_back(token(i));
  return ids;
}

Result<SequenceState::Page> SequenceState::new_page() const {
  HADAL_ASSIGN(Buffer rows, device_->allocate(layout_->page_bytes));
  return Page{std::move(rows), std::vector<int32_t>(static_cast<size_t>(layout_->page_tokens))};
}

Result<Buffer> SequenceState::copy_of(const Buffer& buffer, int64_t bytes) const {
  HADAL_ASSIGN(Buffer copy, device_->allocate(bytes));
  device_->copy(copy.data(), buffer.data(), bytes);
  return copy;
}

Result<SequenceState> SequenceState::fork() const {
  SequenceState other(*device_);
  other.layout_ = layout_;
  other.length_ = length_;
  // Pages behind length_ are those of an append that was not committed: not part of the past.
  const size_t n_pages = pages_of(length_, layout_->page_tokens);
  other.pages_.assign(pages_.begin(), pages_.begin() + static_cast<std::ptrdiff_t>(n_pages));
  other.checkpoints_ = checkpoints_;
  HADAL_ASSIGN(other.tail_, copy_of(tail_, layout_->tail_bytes));
  if (is_partial(length_, layout_->page_tokens)) {
    const Page& last = *pages_[n_pages - 1];
    HADAL_ASSIGN(Buffer rows, copy_of(last.rows, layout_->page_bytes));
    other.pages_.back() = std::make_shared<Page>(Page{std::move(rows), last.ids});
  }
  return other;
}

Result<void> SequenceState::keep_checkpoint() {
  if (length_ == 0 || is_partial(length_, layout_->page_tokens) || layout_->is_append_only()) return {};
  if (!checkpoints_.empty() && checkpoints_.back()->length >= length_) return {};
  HADAL_ASSIGN(Buffer tail, copy_of(tail_, layout_->checkpoint_bytes));
  checkpoints_.push_back(std::make_shared<const Checkpoint>(Checkpoint{length_, std::move(tail)}));
  return {};
}

void SequenceState::thin_checkpoints(int64_t spacing_tokens, size_t recent) {
  const size_t n_old = checkpoints_.size() - std::min(recent, checkpoints_.size());
  const auto old_end = checkpoints_.begin() + static_cast<std::ptrdiff_t>(n_old);
  const auto kept_end =
      std::remove_if(checkpoints_.begin(), old_end, [&](const auto& c) { return c->length % spacing_tokens != 0; });
  checkpoints_.erase(kept_end, old_end);
}

std::vector<int64_t> SequenceState::checkpoints() const {
  std::vector<int64_t> lengths;
  for (const auto& checkpoint : checkpoints_) lengths.push_back(checkpoint->length);
  return lengths;
}

std::vector<std::shared_ptr<const StatePage>> SequenceState::full_pages() const {
  const auto n_full = static_cast<std::ptrdiff_t>(length_ / layout_->page_tokens);
  return {pages_.begin(), pages_.begin() + n_full};
}

Result<std::vector<int32_t>> SequenceState::truncate(int64_t n) {
  HADAL_CHECK(n >= 0 && n <= length_, "truncate", n, "of", length_);
  if (n == length_) return std::vector<int32_t>();
  if (layout_->is_append_only()) {
    HADAL_TRY(cut(n));
    return std::vector<int32_t>();
  }
  while (!checkpoints_.empty() && checkpoints_.back()->length > n) checkpoints_.pop_back();
  const int64_t kept = checkpoints_.empty() ? 0 : checkpoints_.back()->length;
  std::vector<int32_t> replay;
  for (int64_t i = kept; i < n; ++i) replay.push_back(token(i));
  // Full pages up to the checkpoint stay; what lies behind may be shared with a fork and is let go, not changed.
  pages_.resize(static_cast<size_t>(kept / layout_->page_tokens));
  if (kept > 0) device_->copy(tail_.data(), checkpoints_.back()->tail.data(), layout_->checkpoint_bytes);
  length_ = kept;
  return replay;
}

// The rows of a page that its first `tokens` positions left, in a page of its own: what lies behind them belongs to
// text that is no longer part of the sequence.
Result<SequenceState::Page> SequenceState::page_front(const Page& page, int64_t tokens) const {
  HADAL_ASSIGN(Page front, new_page());
  std::copy_n(page.ids.begin(), tokens, front.ids.begin());
  const auto copy = [&](int64_t offset, int64_t bytes) {
    device_->copy(front.rows.data() + offset, page.rows.data() + offset, bytes);
  };
  for (const LayerLayout& l : layout_->layers) {
    const int64_t rows = tokens * l.rows_per_page / layout_->page_tokens;
    if (l.entries_offset >= 0) copy(l.entries_offset, rows * layout_->kv_row_bytes);
    if (l.index_offset >= 0) copy(l.index_offset, rows * layout_->index_row_bytes);
  }
  return front;
}

// Back to n tokens without a tail: whole pages stay shared, the one that n lies in is copied up to there.
Result<void> SequenceState::cut(int64_t n) {
  const auto n_full = static_cast<size_t>(n / layout_->page_tokens);
  const int64_t rest = n % layout_->page_tokens;
  std::shared_ptr<Page> last;
  if (rest > 0) {
    HADAL_ASSIGN(Page front, page_front(*pages_[n_full], rest));
    last = std::make_shared<Page>(std::move(front));
  }
  pages_.resize(n_full);
  if (rest > 0) pages_.push_back(std::move(last));
  while (!checkpoints_.empty() && checkpoints_.back()->length > n) checkpoints_.pop_back();
  length_ = n;
  return {};
}

Result<void> SequenceState::begin_append(std::span<const int32_t> ids) {
  const auto n = static_cast<int64_t>(ids.size());
  if (length_ + n > layout_->context_tokens_max) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "the sequence is longer than the model's context",
                 .in = "",
                 .want = fmt::format("at most {} tokens", layout_->context_tokens_max),
                 .found = fmt::format("{} tokens", length_ + n),
                 .hint = "shorten the prompt, or start a new conversation"};
  }
  const int64_t page_tokens = layout_->page_tokens;
  pages_.resize(pages_of(length_, page_tokens));
  while (pages_.size() < pages_of(length_ + n, page_tokens)) {
    HADAL_ASSIGN(Page page, new_page());
    pages_.push_back(std::make_shared<Page>(std::move(page)));
  }
  for (int64_t i = 0; i < n; ++i) {
    const int64_t position = length_ + i;
    std::vector<int32_t>& page_ids = pages_[static_cast<size_t>(position / page_tokens)]->ids;
    page_ids[static_cast<size_t>(position % page_tokens)] = ids[static_cast<size_t>(i)];
  }
  return {};
}

void SequenceState::commit_append(int64_t n) {
  length_ += n;
}

std::vector<const std::byte*> SequenceState::page_table() const {
  std::vector<const std::byte*> table;
  table.reserve(pages_.size());
  for (const std::shared_ptr<Page>& page : pages_) table.push_back(page->rows.data());
  return table;
}

ops::PagedRows SequenceState::entries(size_t layer, const std::byte* const* pages) const {
  const LayerLayout& l = layout_->layers[layer];
  return {.pages = pages,
          .rows_per_page = l.rows_per_page,
          .offset = l.entries_offset,
          .row_bytes = layout_->kv_row_bytes,
          .format = layout_->options.kv_format};
}

ops::PagedRows SequenceState::index_keys(size_t layer, const std::byte* const* pages) const {
  const LayerLayout& l = layout_->layers[layer];
  return {.pages = pages,
          .rows_per_page = l.rows_per_page,
          .offset = l.index_offset,
          .row_bytes = layout_->index_row_bytes,
          .format = layout_->options.index_format};
}

uint64_t SequenceState::memory_bytes() const {
  return pages_.size() * static_cast<uint64_t>(layout_->page_bytes) + static_cast<uint64_t>(layout_->tail_bytes) +
         checkpoints_.size() * static_cast<uint64_t>(layout_->checkpoint_bytes);
}

}  // namespace hadal
