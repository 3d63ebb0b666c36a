// What the past of a sequence leaves behind: everything that the next token needs, and nothing else.
//
// Pages are append-only and shared between forks once full; the tail changes in place and is copied by a fork. A
// checkpoint is a tail kept at a page border, where no group is half full; truncate goes back to one and returns the
// tokens to feed again, which give the same bits (docs/state.md).
//
// Pages and tails lie in a device's memory, token ids on the host. A saved state is the same bytes from every device:
// one that was saved on one loads on another and goes on there in its own bits, if the numeric mode is the same.
//
// Not thread-safe: one thread owns a state. Full pages are immutable and may be read by the states that share them.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/io.h"
#include "base/result.h"
#include "device/device.h"
#include "state/state_layout.h"

namespace hadal {

// Full pages and kept tails can be shared between sequences: nobody changes them. They go back to their device with
// their last owner, who must be gone before the device is.
struct StatePage {
  Buffer rows;               // page_bytes; the ids' place in it is filled when the state is saved
  std::vector<int32_t> ids;  // [page_tokens]
};
struct StateCheckpoint {
  int64_t length;
  Buffer tail;  // checkpoint_bytes
};

// What another sequence may begin with: the pages below a checkpoint, and the checkpoint. An append-only state needs no
// checkpoint; its pages are enough.
struct StatePrefix {
  std::vector<std::shared_ptr<const StatePage>> pages;
  std::shared_ptr<const StateCheckpoint> checkpoint;
};

class SequenceState {
 public:
  // An empty sequence. The device must outlive it. OutOfMemory.
  static Result<SequenceState> create(Device& device, std::shared_ptr<const StateLayout> layout);

  // A sequence whose past is the prefix: of the same device and layout. Copies one tail. OutOfMemory.
  static Result<SequenceState> create_from(Device& device, std::shared_ptr<const StateLayout> layout,
                                           const StatePrefix& prefix);

  SequenceState(SequenceState&&) noexcept = default;
  SequenceState& operator=(SequenceState&&) noexcept = default;

  const StateLayout& layout() const { return *layout_; }
  int64_t length() const { return length_; }
  int32_t token(int64_t i) const;  // 0 <= i < length()
  std::vector<int32_t> tokens() const;

  // A second sequence with the same past. Shares full pages; copies the tail, the last page and 16 bytes per page.
  Result<SequenceState> fork() const;

  // Keeps the tail, if length() is a page border and none is kept there yet. Costs layout().checkpoint_bytes.
  Result<void> keep_checkpoint();
  // Drops kept tails except the last `recent` ones and those at multiples of `spacing_tokens`.
  void thin_checkpoints(int64_t spacing_tokens, size_t recent);
  std::vector<int64_t> checkpoints() const;  // their lengths, ascending; 0 is always possible and not listed

  // The pages that are full, and the kept tails, for others to share.
  std::vector<std::shared_ptr<const StatePage>> full_pages() const;
  std::vector<std::shared_ptr<const StateCheckpoint>> kept_checkpoints() const { return checkpoints_; }

  // Goes back to the largest checkpoint at or below n (0 <= n <= length()) and returns the tokens from there to n, to
  // be fed again. truncate(length()) changes nothing. An append-only state goes back to n itself and returns nothing.
  Result<std::vector<int32_t>> truncate(int64_t n);

  // Writes magic, version, identity, tokens, pages, tail, checkpoints and checksum. The format is docs/state.md's.
  Result<void> save(ByteSink& sink) const;
  // Reads what save wrote. Corrupt (magic, sizes, checksum), Unsupported (version), Invalid (identity, with both).
  static Result<SequenceState> restore(Device& device, std::shared_ptr<const StateLayout> layout,
                                       std::span<const std::byte> bytes, std::string_view name);
  uint64_t memory_bytes() const;

  // --- for the forward pass ------------------------------------------------------------------------------------------

  // Appends tokens: their pages exist and their ids are stored afterwards, but length() is still the old one. The
  // caller writes entries and tail, then commits. Limit beyond the context; OutOfMemory.
  Result<void> begin_append(std::span<const int32_t> ids);
  void commit_append(int64_t n);

  // Where the pages lie, in order.
  std::vector<const std::byte*> page_table() const;
  // A layer's compressed entries and index keys; `pages` is the page table where kernels read it. Rows of pages that
  // are not full at begin_append may be written.
  ops::PagedRows entries(size_t layer, const std::byte* const* pages) const;
  ops::PagedRows index_keys(size_t layer, const std::byte* const* pages) const;
  std::byte* window_ring(size_t layer) { return tail_.data() + layout_->layers[layer].window_offset; }
  float* tail_floats(int64_t offset) { return reinterpret_cast<float*>(tail_.data() + offset); }

 private:
  using Page = StatePage;
  using Checkpoint = StateCheckpoint;

  explicit SequenceState(Device& device) : device_(&device) {}
  Result<Page> new_page() const;
  Result<Page> page_front(const Page& page, int64_t tokens) const;
  Result<Buffer> copy_of(const Buffer& buffer, int64_t bytes) const;
  Result<void> cut(int64_t n);

  Device* device_;
  std::shared_ptr<const StateLayout> layout_;
  int64_t length_ = 0;
  // Shared because forks and (later) the prefix tree read the same full pages; the last one may be partly filled and
  // is then this state's own.
  std::vector<std::shared_ptr<Page>> pages_;
  Buffer tail_;
  std::vector<std::shared_ptr<const Checkpoint>> checkpoints_;  // ascending; shared between forks, immutable
};

// What the header of a saved state says, without restoring it: for `hadal inspect`. Errors as restore, but identity is
// not compared.
struct SavedStateInfo {
  uint32_t version = 0;
  std::string identity;
  int64_t length = 0;
  int64_t page_tokens = 0;
  int64_t page_bytes = 0;
  int64_t tail_bytes = 0;
  std::vector<int64_t> checkpoints;
  bool checksum_ok = false;
};
Result<SavedStateInfo> inspect_saved_state(std::span<const std::byte> bytes, std::string_view name);
bool is_saved_state(std::span<const std::byte> bytes);

}  // namespace hadal
