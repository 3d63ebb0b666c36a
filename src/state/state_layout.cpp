#include "state/state_layout.h"

#include <fmt/format.h>

#include <bit>
#include <numeric>

namespace hadal {
namespace {

// A page is a multiple of 128 tokens: the window of the released models, and a whole number of groups of every ratio.
constexpr int64_t kPageTokens = 128;
constexpr int64_t kPageTokensMax = 4096;

bool can_be_fp4(int64_t d) {
  return d >= 32 && std::has_single_bit(static_cast<uint64_t>(d));
}

class Offsets {
 public:
  // 64: rows that kernels read begin on a cache line.
  int64_t take(int64_t bytes) {
    const int64_t at = next_;
    next_ = (next_ + bytes + 63) / 64 * 64;
    return at;
  }
  int64_t total() const { return next_; }

 private:
  int64_t next_ = 0;
};

}  // namespace

ops::KvFormat fp8_format(const ModelDescription& description) {
  return description.has_mla() ? ops::KvFormat::kFp8By128 : ops::KvFormat::kFp8;
}

StateOptions default_state_options(const ModelDescription& description, NumericMode mode) {
  StateOptions options;
  if (description.has_mla()) {
    // V3 caches latents in BF16 and rounds nothing. V3.2's corrected release rounds latents and index keys (and, as the
    // keys, index queries) to E4M3 by 128; stored, that is 656 and 132 bytes.
    const bool is_rounded = description.index_topk > 0;
    if (mode == NumericMode::kExact) return options;
    if (is_rounded) options.index_rounding = ops::KvRounding::kHadamardE4m3;
    if (mode == NumericMode::kPublished) {
      if (is_rounded) options.kv_rounding = ops::KvRounding::kE4m3By128;
      return options;
    }
    options.kv_format = options.index_format = is_rounded ? fp8_format(description) : ops::KvFormat::kBf16;
    return options;
  }
  if (description.activation_block == 32) {
    // V4.1: the roundings are steps of the trained model in both modes. What they leave (4 bits of an E4M3 value; 2
    // bits of E2M1 times 4 of its scale) is exact in BF16.
    if (mode == NumericMode::kExact) return options;
    options.kv_rounding = ops::KvRounding::kE4m3By32;
    options.entry_rounding = ops::KvRounding::kE2m1By16;
    options.index_rounding = ops::KvRounding::kE2m1By32;
    if (mode == NumericMode::kPublished) return options;
    options.kv_format = ops::KvFormat::kBf16;
    options.index_format = ops::KvFormat::kFp4;
    return options;
  }
  const bool fp4_keys = can_be_fp4(description.index_head_dim);
  switch (mode) {
    case NumericMode::kExact:
      break;
    case NumericMode::kPublished:
      options.kv_rounding = options.entry_rounding = ops::KvRounding::kE4m3;
      options.index_rounding = fp4_keys ? ops::KvRounding::kHadamardE2m1 : ops::KvRounding::kNone;
      break;
    case NumericMode::kFast:
      options.kv_format = ops::KvFormat::kFp8;
      options.index_format = fp4_keys ? ops::KvFormat::kFp4 : ops::KvFormat::kBf16;
      options.index_rounding = fp4_keys ? ops::KvRounding::kHadamard : ops::KvRounding::kNone;
      break;
  }
  return options;
}

Result<StateLayout> StateLayout::create(const ModelDescription& description, std::string_view model_identity,
                                        NumericMode mode, const StateOptions& options) {
  StateLayout layout;
  layout.options = options;
  layout.options.mtp = options.mtp && !description.mtp_layers.empty();
  layout.window = description.window;
  layout.context_tokens_max = description.context_tokens_max;
  layout.vocab_size = description.vocab_size;
  layout.kv_row_bytes = ops::kv_row_bytes(options.kv_format, description.kv_row_dim(), description.rope_head_dim);
  layout.index_row_bytes = ops::kv_row_bytes(options.index_format, description.index_head_dim, 0);

  std::vector<LayerDescription> layers = description.layers;
  if (layout.options.mtp) layers.insert(layers.end(), description.mtp_layers.begin(), description.mtp_layers.end());
  layout.page_tokens = kPageTokens;
  for (const LayerDescription& layer : layers) {
    if (layer.compress_ratio > 0) layout.page_tokens = std::lcm(layout.page_tokens, int64_t{layer.compress_ratio});
    if (layout.page_tokens > kPageTokensMax) {
      return Error{.code = ErrorCode::kLimit,
                   .what = "compression ratios do not fit one page",
                   .in = "compress_ratios",
                   .want = fmt::format("a common multiple with 128 of at most {}", kPageTokensMax),
                   .found = fmt::format("{}", layout.page_tokens),
                   .hint = ""};
    }
  }

  Offsets page;
  Offsets tail;
  page.take(layout.page_tokens * static_cast<int64_t>(sizeof(int32_t)));
  const auto compressor = [&](const LayerDescription& layer, int64_t d) {
    CompressorLayout c{.ratio = layer.compress_ratio, .coff = layer.compress_coff(), .d = d};
    if (c.overlaps()) c.previous_offset = tail.take(2 * c.ratio * d * 4);
    return c;
  };
  for (const LayerDescription& layer : layers) {
    LayerLayout l;
    if (!is_mla(layer.attention)) l.window_offset = tail.take(layout.window * layout.kv_row_bytes);
    if (layer.entries_layer >= 0) {
      const LayerLayout& source = layout.layers[static_cast<size_t>(layer.entries_layer)];
      l.rows_per_page = source.rows_per_page;
      l.entries_offset = source.entries_offset;
      l.index_offset = source.index_offset;
      layout.layers.push_back(l);
      continue;
    }
    if (layer.compress_ratio > 0) {
      l.rows_per_page = layout.page_tokens / layer.compress_ratio;
      l.entries_offset = page.take(l.rows_per_page * layout.kv_row_bytes);
    }
    if (has_indexer(layer.attention)) l.index_offset = page.take(l.rows_per_page * layout.index_row_bytes);
    if (has_compressor(layer.attention)) {
      l.compressor = compressor(layer, description.head_dim);
      if (layer.attention == AttentionKind::kCsa) l.index_compressor = compressor(layer, description.index_head_dim);
    }
    layout.layers.push_back(l);
  }
  if (layout.options.mtp) {
    layout.mtp_streams_floats = description.hc_mult * description.hidden;
    layout.mtp_streams_offset = tail.take(layout.mtp_streams_floats * 4);
  }
  layout.checkpoint_bytes = tail.total();
  for (LayerLayout& l : layout.layers) {
    for (CompressorLayout* c : {&l.compressor, &l.index_compressor}) {
      if (c->ratio > 0) c->pending_offset = tail.take(2 * (c->ratio - 1) * c->width() * 4);
    }
  }
  const std::string entry_rounding =
      options.entry_rounding == options.kv_rounding ? "" : fmt::format("/{}", static_cast<int>(options.entry_rounding));
  layout.page_bytes = page.total();
  layout.tail_bytes = tail.total();
  layout.identity =
      fmt::format("{} mode={} kv={} index={} rounding={}/{}{} mtp={} page={}", model_identity, numeric_mode_name(mode),
                  ops::kv_format_name(options.kv_format), ops::kv_format_name(options.index_format),
                  static_cast<int>(options.kv_rounding), static_cast<int>(options.index_rounding), entry_rounding,
                  layout.options.mtp, layout.page_tokens);
  return layout;
}

uint64_t StateLayout::state_bytes(int64_t tokens, int64_t checkpoints) const {
  const int64_t pages = (tokens + page_tokens - 1) / page_tokens;
  return static_cast<uint64_t>(pages * page_bytes + tail_bytes + checkpoints * checkpoint_bytes);
}

}  // namespace hadal
