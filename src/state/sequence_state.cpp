#include "state/sequence_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

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

Result<Buffer> copy_of(const std::byte* data, int64_t bytes) {
  HADAL_ASSIGN(Buffer copy, Buffer::allocate(static_cast<uint64_t>(bytes)));
  if (bytes > 0) std::memcpy(copy.data(), data, static_cast<size_t>(bytes));
  return copy;
}

}  // namespace

Result<SequenceState> SequenceState::create(std::shared_ptr<const StateLayout> layout) {
  SequenceState state;
  state.layout_ = std::move(layout);
  HADAL_ASSIGN(state.tail_, Buffer::allocate(static_cast<uint64_t>(state.layout_->tail_bytes)));
  return state;
}

int32_t SequenceState::token(int64_t i) const {
  const auto* ids = reinterpret_cast<const int32_t*>(page_table_[static_cast<size_t>(i / layout_->page_tokens)]);
  return ids[i % layout_->page_tokens];
}

std::vector<int32_t> SequenceState::tokens() const {
  std::vector<int32_t> ids;
  ids.reserve(static_cast<size_t>(length_));
  for (int64_t i = 0; i < length_; ++i) ids.push_back(token(i));
  return ids;
}

Result<void> SequenceState::add_page() {
  HADAL_ASSIGN(Buffer page, Buffer::allocate(static_cast<uint64_t>(layout_->page_bytes)));
  pages_.push_back(std::make_shared<Buffer>(std::move(page)));
  page_table_.push_back(pages_.back()->data());
  return {};
}

Result<SequenceState> SequenceState::fork() const {
  SequenceState other;
  other.layout_ = layout_;
  other.length_ = length_;
  // Pages behind length_ are those of an append that was not committed: not part of the past.
  const size_t n_pages = pages_of(length_, layout_->page_tokens);
  other.pages_.assign(pages_.begin(), pages_.begin() + static_cast<std::ptrdiff_t>(n_pages));
  other.page_table_.assign(page_table_.begin(), page_table_.begin() + static_cast<std::ptrdiff_t>(n_pages));
  other.checkpoints_ = checkpoints_;
  HADAL_ASSIGN(other.tail_, copy_of(tail_.data(), layout_->tail_bytes));
  if (is_partial(length_, layout_->page_tokens)) {
    HADAL_ASSIGN(Buffer page, copy_of(other.page_table_.back(), layout_->page_bytes));
    other.pages_.back() = std::make_shared<Buffer>(std::move(page));
    other.page_table_.back() = other.pages_.back()->data();
  }
  return other;
}

Result<void> SequenceState::keep_checkpoint() {
  if (length_ == 0 || is_partial(length_, layout_->page_tokens) || layout_->is_append_only()) return {};
  if (!checkpoints_.empty() && checkpoints_.back()->length >= length_) return {};
  HADAL_ASSIGN(Buffer tail, copy_of(tail_.data(), layout_->checkpoint_bytes));
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
  page_table_.resize(pages_.size());
  if (kept > 0) {
    std::memcpy(tail_.data(), checkpoints_.back()->tail.data(), static_cast<size_t>(layout_->checkpoint_bytes));
  }
  length_ = kept;
  return replay;
}

// The rows of a page that its first `tokens` positions left, in a page of its own: what lies behind them belongs to
// text that is no longer part of the sequence.
Result<Buffer> SequenceState::page_front(int64_t page, int64_t tokens) const {
  HADAL_ASSIGN(Buffer front, Buffer::allocate(static_cast<uint64_t>(layout_->page_bytes)));
  const std::byte* from = page_table_[static_cast<size_t>(page)];
  const auto copy = [&](int64_t offset, int64_t bytes) {
    std::memcpy(front.data() + offset, from + offset, static_cast<size_t>(bytes));
  };
  copy(0, tokens * static_cast<int64_t>(sizeof(int32_t)));
  for (const LayerLayout& l : layout_->layers) {
    const int64_t rows = tokens * l.rows_per_page / layout_->page_tokens;
    if (l.entries_offset >= 0) copy(l.entries_offset, rows * layout_->kv_row_bytes);
    if (l.index_offset >= 0) copy(l.index_offset, rows * layout_->index_row_bytes);
  }
  return front;
}

// Back to n tokens without a tail: whole pages stay shared, the one that n lies in is copied up to there.
Result<void> SequenceState::cut(int64_t n) {
  const int64_t n_full = n / layout_->page_tokens;
  const int64_t rest = n % layout_->page_tokens;
  Buffer last;
  if (rest > 0) {
    HADAL_ASSIGN(last, page_front(n_full, rest));
  }
  pages_.resize(static_cast<size_t>(n_full));
  page_table_.resize(pages_.size());
  if (rest > 0) {
    pages_.push_back(std::make_shared<Buffer>(std::move(last)));
    page_table_.push_back(pages_.back()->data());
  }
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
  page_table_.resize(pages_.size());
  while (pages_.size() < pages_of(length_ + n, page_tokens)) HADAL_TRY(add_page());
  for (int64_t i = 0; i < n; ++i) {
    const int64_t position = length_ + i;
    auto* page_ids = reinterpret_cast<int32_t*>(pages_[static_cast<size_t>(position / page_tokens)]->data());
    page_ids[position % page_tokens] = ids[static_cast<size_t>(i)];
  }
  return {};
}

void SequenceState::commit_append(int64_t n) {
  length_ += n;
}

ops::PagedRows SequenceState::entries(size_t layer) const {
  const LayerLayout& l = layout_->layers[layer];
  return {.pages = page_table_.data(),
          .rows_per_page = l.rows_per_page,
          .offset = l.entries_offset,
          .row_bytes = layout_->kv_row_bytes,
          .format = layout_->options.kv_format};
}

ops::PagedRows SequenceState::index_keys(size_t layer) const {
  const LayerLayout& l = layout_->layers[layer];
  return {.pages = page_table_.data(),
          .rows_per_page = l.rows_per_page,
          .offset = l.index_offset,
          .row_bytes = layout_->index_row_bytes,
          .format = layout_->options.index_format};
}

std::byte* SequenceState::slot(int64_t offset, int64_t rows_per_page, int64_t row_bytes, int64_t j) {
  return pages_[static_cast<size_t>(j / rows_per_page)]->data() + offset + j % rows_per_page * row_bytes;
}

std::byte* SequenceState::entry_slot(size_t layer, int64_t j) {
  const LayerLayout& l = layout_->layers[layer];
  return slot(l.entries_offset, l.rows_per_page, layout_->kv_row_bytes, j);
}

std::byte* SequenceState::index_slot(size_t layer, int64_t j) {
  const LayerLayout& l = layout_->layers[layer];
  return slot(l.index_offset, l.rows_per_page, layout_->index_row_bytes, j);
}

std::byte* SequenceState::window_slot(size_t layer, int64_t position) {
  return tail_.data() + layout_->layers[layer].window_offset + position % layout_->window * layout_->kv_row_bytes;
}

const std::byte* SequenceState::window_slot(size_t layer, int64_t position) const {
  return tail_.data() + layout_->layers[layer].window_offset + position % layout_->window * layout_->kv_row_bytes;
}

uint64_t SequenceState::memory_bytes() const {
  return pages_.size() * static_cast<uint64_t>(layout_->page_bytes) + static_cast<uint64_t>(layout_->tail_bytes) +
         checkpoints_.size() * static_cast<uint64_t>(layout_->checkpoint_bytes);
}

}  // namespace hadal
