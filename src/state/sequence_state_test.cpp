// Pages, tails, checkpoints and saved bytes, without a model: what is written is what comes back. That the numbers in
// it give the same logits is tests/model/equalities_test.cpp's.

#include "state/sequence_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>

#include "testing/small_state.h"

namespace hadal {
namespace {

class StringSink final : public ByteSink {
 public:
  explicit StringSink(size_t room = SIZE_MAX) : room_(room) {}
  Result<void> write(std::span<const std::byte> piece) override {
    if (piece.size() > room_ - bytes.size()) {
      return Error{.code = ErrorCode::kIo, .what = "disk full", .in = "", .want = "", .found = "", .hint = ""};
    }
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    return {};
  }
  std::vector<std::byte> bytes;

 private:
  size_t room_;
};

std::byte* entry_slot(const SequenceState& state, size_t layer, int64_t j) {
  const std::vector<const std::byte*> pages = state.page_table();
  return const_cast<std::byte*>(state.entries(layer, pages.data()).row(j));
}
std::byte* index_slot(const SequenceState& state, size_t layer, int64_t j) {
  const std::vector<const std::byte*> pages = state.page_table();
  return const_cast<std::byte*>(state.index_keys(layer, pages.data()).row(j));
}

// Appends n tokens as the forward pass does, writing a pattern that depends on all tokens so far into entries and tail.
void append(SequenceState& state, int64_t n, uint32_t salt = 0) {
  for (int64_t i = 0; i < n; ++i) {
    const int64_t position = state.length();
    const auto id = static_cast<int32_t>((position * 7 + salt) % 50);
    ASSERT_TRUE(state.begin_append({&id, 1}).ok());
    const StateLayout& layout = state.layout();
    for (size_t l = 0; l < layout.layers.size(); ++l) {
      const auto pattern = static_cast<int>((position * 31 + static_cast<int64_t>(l) * 17 + salt) & 0xFF);
      std::memset(state.window_ring(l) + position % layout.window * layout.kv_row_bytes, pattern,
                  static_cast<size_t>(layout.kv_row_bytes));
      const LayerLayout& layer = layout.layers[l];
      const int64_t ratio = layer.compressor.ratio;
      if (ratio > 0 && (position + 1) % ratio == 0) {
        std::memset(entry_slot(state, l, position / ratio), pattern, static_cast<size_t>(layout.kv_row_bytes));
        if (layer.index_offset >= 0) {
          std::memset(index_slot(state, l, position / ratio), pattern ^ 1, static_cast<size_t>(layout.index_row_bytes));
        }
        if (layer.compressor.overlaps()) {
          std::fill_n(state.tail_floats(layer.compressor.previous_offset), 2 * ratio * layer.compressor.d,
                      static_cast<float>(pattern));
        }
      } else if (ratio > 0) {
        std::fill_n(state.tail_floats(layer.compressor.pending_offset) + position % ratio * layer.compressor.width(),
                    layer.compressor.width(), static_cast<float>(pattern));
      }
    }
    state.commit_append(1);
    if (state.length() % layout.page_tokens == 0) {
      ASSERT_TRUE(state.keep_checkpoint().ok());
    }
  }
}

SequenceState fresh() {
  Result<SequenceState> state = SequenceState::create(test::one_cpu(), test::small_layout());
  EXPECT_TRUE(state.ok());
  return std::move(*state);
}

std::vector<std::byte> saved(const SequenceState& state) {
  StringSink sink;
  EXPECT_TRUE(state.save(sink).ok());
  return sink.bytes;
}

TEST(StateLayout, a_checkpoint_of_v4_flash_takes_3_6_mb) {
  ModelDescription d;
  d.head_dim = 512;
  d.rope_head_dim = 64;
  d.window = 128;
  d.index_head_dim = 128;
  d.hidden = 4096;
  d.hc_mult = 4;
  d.context_tokens_max = 1 << 20;
  d.vocab_size = 129280;
  for (int l = 0; l < 43; ++l) {
    LayerDescription layer;
    if (l >= 2) {
      layer.compress_ratio = l % 2 == 0 ? 4 : 128;
      layer.compress_overlap = l % 2 == 0;
      layer.attention = l % 2 == 0 ? AttentionKind::kCsa : AttentionKind::kHca;
    }
    d.layers.push_back(layer);
  }
  const Result<StateLayout> layout =
      StateLayout::create(d, "flash", NumericMode::kFast, default_state_options(d, NumericMode::kFast));
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->page_tokens, 128);
  EXPECT_EQ(layout->kv_row_bytes, 584);
  EXPECT_EQ(layout->index_row_bytes, 68);
  // 43 windows of 128 x 584 and 21 previous groups of 4 x 2 x (512 + 128) floats: serving's 3,644,416 bytes.
  EXPECT_EQ(layout->checkpoint_bytes, 43 * 128 * 584 + 21 * 4 * 2 * (512 + 128) * 4);
  // 450,000 bytes of entries and keys, and 512 of token ids; rows of a layer begin on cache lines.
  EXPECT_NEAR(static_cast<double>(layout->page_bytes), 128 * 3514.25 + 512, 3000);
}

// Layers of latents only, half of them with index keys.
std::shared_ptr<const StateLayout> latent_layout() {
  ModelDescription d = test::small_description();
  d.head_dim = d.window = 0;
  d.kv_lora_rank = 16;
  d.rope_head_dim = 16;
  d.mtp_layers.clear();
  d.layers = {{.attention = AttentionKind::kMla, .compress_ratio = 1},
              {.attention = AttentionKind::kDsa, .compress_ratio = 1}};
  const StateOptions options = default_state_options(d, NumericMode::kFast);
  Result<StateLayout> layout = StateLayout::create(d, "latents", NumericMode::kFast, options);
  EXPECT_TRUE(layout.ok());
  return std::make_shared<const StateLayout>(std::move(*layout));
}

// Tokens and the rows that they leave, as append() above does for layers with a window.
void append_latents(SequenceState& state, int64_t n, uint32_t salt = 0) {
  for (int64_t i = 0; i < n; ++i) {
    const int64_t position = state.length();
    const auto id = static_cast<int32_t>((position * 7 + salt) % 50);
    ASSERT_TRUE(state.begin_append({&id, 1}).ok());
    const auto pattern = static_cast<int>((position * 31 + salt) & 0xFF);
    for (size_t l = 0; l < 2; ++l) {
      std::memset(entry_slot(state, l, position), pattern, static_cast<size_t>(state.layout().kv_row_bytes));
    }
    std::memset(index_slot(state, 1, position), pattern ^ 1, static_cast<size_t>(state.layout().index_row_bytes));
    state.commit_append(1);
  }
}

TEST(StateLayout, latents_need_no_tail) {
  const auto layout = latent_layout();
  EXPECT_TRUE(layout->is_append_only());
  EXPECT_EQ(layout->layers[0].rows_per_page, 128);
  EXPECT_EQ(layout->layers[0].window_offset, -1);
  // Layer 1 has an indexer: rows of V3.2, codes, a float scale and BF16.
  EXPECT_EQ(layout->kv_row_bytes, 16 + 4 + 2 * 16);
  EXPECT_EQ(layout->layers[0].index_offset, -1);
  EXPECT_GE(layout->layers[1].index_offset, 0);
  EXPECT_FALSE(test::small_layout()->is_append_only());
}

TEST(StateLayout, latents_are_stored_as_published) {
  ModelDescription d;
  d.kv_lora_rank = 512;
  d.rope_head_dim = 64;
  d.index_head_dim = 128;
  d.context_tokens_max = 163840;
  LayerDescription layer;
  layer.compress_ratio = 1;
  const auto token_bytes = [&](AttentionKind kind, NumericMode mode) {
    layer.attention = kind;
    d.layers.assign(61, layer);
    d.index_topk = kind == AttentionKind::kDsa ? 2048 : 0;
    const Result<StateLayout> layout = StateLayout::create(d, "model", mode, default_state_options(d, mode));
    EXPECT_TRUE(layout.ok());
    return (layout->page_bytes - 128 * 4) / 128;
  };
  // V3.2: (656 + 132) bytes in each of 61 layers; V3: BF16.
  EXPECT_EQ(token_bytes(AttentionKind::kDsa, NumericMode::kFast), 48068);
  EXPECT_EQ(token_bytes(AttentionKind::kMla, NumericMode::kFast), 70272);
  // The roundings without the layout, so that nothing else is rounded.
  EXPECT_EQ(token_bytes(AttentionKind::kDsa, NumericMode::kPublished), 61 * 4 * (576 + 128));
  const StateOptions published = default_state_options(d, NumericMode::kPublished);
  EXPECT_EQ(published.kv_rounding, ops::KvRounding::kE4m3By128);
  EXPECT_EQ(published.index_rounding, ops::KvRounding::kHadamardE4m3);
  EXPECT_EQ(default_state_options(d, NumericMode::kExact).index_rounding, ops::KvRounding::kNone);
  EXPECT_EQ(fp8_format(d), ops::KvFormat::kFp8By128);
  d.layers.front().attention = AttentionKind::kWindow;
  EXPECT_EQ(fp8_format(d), ops::KvFormat::kFp8);
}

TEST(SequenceState, without_a_tail_it_goes_back_to_any_length_as_if_never_longer) {
  for (const int64_t longest : {1, 128, 200, 300}) {
    for (const int64_t n : {0, 1, 127, 128, 129, 256, 299}) {
      if (n > longest) continue;
      SCOPED_TRACE(n);
      Result<SequenceState> state = SequenceState::create(test::one_cpu(), latent_layout());
      Result<SequenceState> straight = SequenceState::create(test::one_cpu(), latent_layout());
      ASSERT_TRUE(state.ok() && straight.ok());
      append_latents(*state, n);
      append_latents(*state, longest - n, 3);
      Result<SequenceState> other = state->fork();
      ASSERT_TRUE(other.ok());
      const std::vector<std::byte> before = saved(*other);
      const Result<std::vector<int32_t>> replay = state->truncate(n);
      ASSERT_TRUE(replay.ok());
      EXPECT_TRUE(replay->empty());
      append_latents(*straight, n);
      EXPECT_EQ(saved(*state), saved(*straight)) << "nothing is left of what was cut off";
      append_latents(*state, 60, 5);
      append_latents(*straight, 60, 5);
      EXPECT_EQ(saved(*state), saved(*straight));
      EXPECT_EQ(saved(*other), before) << "a fork shares pages with what went back";
      const Result<SequenceState> restored =
          SequenceState::restore(test::one_cpu(), latent_layout(), saved(*state), "saved");
      ASSERT_TRUE(restored.ok()) << restored.error().to_string();
      EXPECT_EQ(saved(*restored), saved(*state));
    }
  }
}

TEST(StateLayout, ratios_that_fit_no_page_are_refused) {
  ModelDescription d = test::small_description();
  d.layers[2].compress_ratio = 97;
  const Result<StateLayout> layout = StateLayout::create(d, "small", NumericMode::kExact, {});
  ASSERT_FALSE(layout.ok());
  EXPECT_EQ(layout.error().code, ErrorCode::kLimit);
}

TEST(SequenceState, save_then_restore_is_identity_at_every_length) {
  SequenceState state = fresh();
  for (int64_t length = 0; length < 300; ++length) {
    const std::vector<std::byte> bytes = saved(state);
    const Result<SequenceState> restored =
        SequenceState::restore(test::one_cpu(), test::small_layout(), bytes, "saved");
    ASSERT_TRUE(restored.ok()) << restored.error().to_string();
    EXPECT_EQ(restored->length(), length);
    ASSERT_EQ(saved(*restored), bytes);
    append(state, 1);
  }
}

TEST(SequenceState, a_fork_and_its_origin_do_not_see_each_other) {
  for (const int64_t at : {0, 1, 127, 128, 129, 200}) {
    SequenceState a = fresh();
    append(a, at);
    Result<SequenceState> b = a.fork();
    ASSERT_TRUE(b.ok());
    EXPECT_EQ(saved(a), saved(*b));
    const std::vector<std::byte> before = saved(*b);
    append(a, 150, 3);
    EXPECT_EQ(saved(*b), before) << "forked at " << at;
    append(*b, 150, 3);
    EXPECT_EQ(saved(a), saved(*b)) << "forked at " << at;
  }
}

TEST(SequenceState, any_mix_of_append_fork_and_truncate_equals_a_straight_run) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    SequenceState state = fresh();
    for (int step = 0; step < 12; ++step) {
      append(state, static_cast<int64_t>(random() % 90));
      if (random() % 3 == 0) {
        Result<SequenceState> other = state.fork();
        ASSERT_TRUE(other.ok());
        append(state, 20, 9);  // the origin goes its own way and is dropped
        state = std::move(*other);
      }
      const auto n = static_cast<int64_t>(random() % static_cast<uint32_t>(state.length() + 1));
      if (random() % 2 == 0) {
        const int64_t before = state.length();
        const Result<std::vector<int32_t>> replay = state.truncate(n);
        ASSERT_TRUE(replay.ok());
        EXPECT_EQ(state.length() + static_cast<int64_t>(replay->size()), n);
        EXPECT_TRUE(n == before || replay->size() < 128);
        append(state, static_cast<int64_t>(replay->size()));
      }
    }
    SequenceState straight = fresh();
    append(straight, state.length());
    // Kept tails depend on the way; entries, ids and what the tail means do not.
    EXPECT_EQ(state.tokens(), straight.tokens());
    const int64_t border = state.length() / 128 * 128;
    ASSERT_TRUE(state.truncate(border).ok());
    ASSERT_TRUE(straight.truncate(border).ok());
    state.thin_checkpoints(1 << 20, 1);
    straight.thin_checkpoints(1 << 20, 1);
    // What lies behind a border in the tail is left over from before and never read.
    const auto front = [](const SequenceState& s) {
      std::vector<std::byte> bytes;
      for (const int64_t kept : s.checkpoints()) bytes.push_back(static_cast<std::byte>(kept / 128));
      return bytes;
    };
    EXPECT_EQ(front(state), front(straight));
  }
}

TEST(SequenceState, the_context_is_a_limit) {
  SequenceState state = fresh();
  const std::vector<int32_t> ids(1001, 1);
  const Result<void> result = state.begin_append(ids);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kLimit);
}

TEST(SavedState, a_full_disk_is_an_error_at_every_byte) {
  SequenceState state = fresh();
  append(state, 130);
  const size_t size = saved(state).size();
  for (size_t room = 0; room < size; room += 97) {
    StringSink sink(room);
    EXPECT_FALSE(state.save(sink).ok());
  }
}

TEST(SavedState, every_flipped_bit_is_found) {
  SequenceState state = fresh();
  append(state, 5);
  const std::vector<std::byte> good = saved(state);
  for (size_t i = 0; i < good.size(); ++i) {
    std::vector<std::byte> bad = good;
    bad[i] ^= static_cast<std::byte>(1 << (i % 8));
    const Result<SequenceState> restored = SequenceState::restore(test::one_cpu(), test::small_layout(), bad, "saved");
    ASSERT_FALSE(restored.ok()) << "byte " << i;
    EXPECT_NE(restored.error().in.find("saved"), std::string::npos);
  }
}

TEST(SavedState, every_truncation_is_found) {
  SequenceState state = fresh();
  append(state, 3);
  const std::vector<std::byte> good = saved(state);
  for (size_t n = 0; n < good.size(); ++n) {
    ASSERT_FALSE(SequenceState::restore(test::one_cpu(), test::small_layout(), std::span(good).first(n), "saved").ok())
        << n;
  }
  std::vector<std::byte> longer = good;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(SequenceState::restore(test::one_cpu(), test::small_layout(), longer, "saved").ok());
}

TEST(SavedState, another_model_or_mode_is_named) {
  SequenceState state = fresh();
  append(state, 3);
  const std::vector<std::byte> bytes = saved(state);
  const Result<SequenceState> restored =
      SequenceState::restore(test::one_cpu(), test::small_layout(NumericMode::kExact), bytes, "saved");
  ASSERT_FALSE(restored.ok());
  EXPECT_EQ(restored.error().code, ErrorCode::kInvalid);
  EXPECT_NE(restored.error().want.find("mode=exact"), std::string::npos);
  EXPECT_NE(restored.error().found.find("mode=fast"), std::string::npos);
}

TEST(SavedState, another_version_is_named) {
  std::vector<std::byte> bytes = saved(fresh());
  bytes[8] = std::byte{9};
  const Result<SequenceState> restored = SequenceState::restore(test::one_cpu(), test::small_layout(), bytes, "saved");
  ASSERT_FALSE(restored.ok());
  EXPECT_EQ(restored.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(restored.error().found, "version 9");
}

TEST(SavedState, inspect_tells_its_sizes_and_whether_it_is_whole) {
  SequenceState state = fresh();
  append(state, 260);
  std::vector<std::byte> bytes = saved(state);
  Result<SavedStateInfo> info = inspect_saved_state(bytes, "saved");
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->length, 260);
  EXPECT_EQ(info->checkpoints, (std::vector<int64_t>{128, 256}));
  EXPECT_TRUE(info->checksum_ok);
  bytes[bytes.size() / 2] ^= std::byte{1};
  info = inspect_saved_state(bytes, "saved");
  ASSERT_TRUE(info.ok());
  EXPECT_FALSE(info->checksum_ok);
}

}  // namespace
}  // namespace hadal
