#include "forward/step_inputs.h"

#include <algorithm>

#include "ops/rope/rope.h"

namespace hadal {
namespace {

bool same_rope(const RopeDescription& a, const RopeDescription& b) {
  return a.theta == b.theta && a.original_tokens == b.original_tokens && a.factor == b.factor &&
         a.beta_fast == b.beta_fast && a.beta_slow == b.beta_slow;
}

}  // namespace

// Hands out places of the memory one behind the other; without memory it only counts.
class StepInputs::Layout {
 public:
  explicit Layout(const Mirror* memory) : memory_(memory) {}

  int64_t bytes() const { return next_; }

  // n numbers that fill(to) writes; where kernels read them.
  template <class T, class Fill>
  const T* put(int64_t n, const Fill& fill) {
    const int64_t at = next_;
    next_ += (n * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    if (memory_ == nullptr) return nullptr;
    fill(reinterpret_cast<T*>(memory_->on_host() + at));
    return reinterpret_cast<const T*>(memory_->on_device() + at);
  }

 private:
  const Mirror* memory_;
  int64_t next_ = 0;
};

StepInputs::StepInputs(Device& device, const ModelDescription& d, std::span<const int32_t> engram_classes)
    : device_(device),
      rope_dim_(d.rope_head_dim),
      window_(d.window),
      n_streams_(d.hc_mult),
      engram_tables_(engram_tables(d)),
      engram_classes_(engram_classes) {
  if (!engram_tables_.empty()) engram_pad_class_ = engram_classes[static_cast<size_t>(d.engram_pad_id)];
  for (const auto* layers : {&d.layers, &d.mtp_layers}) {
    for (const LayerDescription& layer : *layers) {
      if (rope_of(layer) == ropes_.size()) {
        ropes_.push_back(layer.rope);
        freqs_.push_back(ops::rope_frequencies({.theta = layer.rope.theta,
                                                .rope_dim = rope_dim_,
                                                .factor = layer.rope.factor,
                                                .original_tokens = layer.rope.original_tokens,
                                                .beta_fast = layer.rope.beta_fast,
                                                .beta_slow = layer.rope.beta_slow}));
      }
      if (kind_of(layer) == kinds_.size()) {
        kinds_.push_back({layer.compress_ratio, rope_of(layer), has_compressor(layer.attention)});
      }
    }
  }
}

size_t StepInputs::rope_of(const LayerDescription& layer) const {
  const auto same = [&](const RopeDescription& rope) { return same_rope(rope, layer.rope); };
  return static_cast<size_t>(std::find_if(ropes_.begin(), ropes_.end(), same) - ropes_.begin());
}

size_t StepInputs::kind_of(const LayerDescription& layer) const {
  const size_t rope = rope_of(layer);
  const auto same = [&](const Kind& kind) { return kind.ratio == layer.compress_ratio && kind.rope == rope; };
  return static_cast<size_t>(std::find_if(kinds_.begin(), kinds_.end(), same) - kinds_.begin());
}

size_t StepInputs::engram_of(size_t layer) const {
  const auto same = [&](const EngramTable& table) { return table.layer == layer; };
  return static_cast<size_t>(std::find_if(engram_tables_.begin(), engram_tables_.end(), same) - engram_tables_.begin());
}

Result<void> StepInputs::lay_out(StepRows& step) {
  const auto lay_out_all = [&](Layout& layout) {
    for (Rows& rows : step.parts) lay_out(rows, layout);
    lay_out(step.draft, layout);
    Rows& all = step.parts.front();
    all.first_stream = layout.put<float>(all.T() * n_streams_, [&](float* to) {
      for (int64_t i = 0; i < all.T() * n_streams_; ++i) to[i] = i % n_streams_ == 0 ? 1.0f : 0.0f;
    });
    all.engram_rows.clear();
    for (const EngramTable& table : engram_tables_) {
      const auto n = static_cast<int64_t>(table.primes.size());
      all.engram_rows.push_back(layout.put<int32_t>(all.T() * n, [&](int32_t* to) { engram_rows_of(all, table, to); }));
    }
  };
  Layout counted(nullptr);
  lay_out_all(counted);
  if (counted.bytes() > memory_.bytes()) {
    // Half as much again: page tables grow by a number every 128 tokens.
    HADAL_ASSIGN(memory_, Mirror::allocate(device_, counted.bytes() * 3 / 2));
  }
  Layout layout(&memory_);
  lay_out_all(layout);
  memory_.upload(layout.bytes());
  return {};
}

// Looking back stops at the first token of a sequence; the states hold the tokens before the step's.
void StepInputs::engram_rows_of(const Rows& rows, const EngramTable& table, int32_t* to) const {
  std::vector<int32_t> classes(table.multipliers.size());
  for (const RowSpan& span : rows.spans) {
    for (int64_t t = 0; t < span.T; ++t) {
      const int64_t position = span.position0 + t;
      for (size_t s = 0; s < classes.size(); ++s) {
        const int64_t at = position - static_cast<int64_t>(s);
        classes[s] = at < 0 ? engram_pad_class_ : engram_classes_[static_cast<size_t>(span.state->token(at))];
      }
      engram_rows(table, classes, to);
      to += table.primes.size();
    }
  }
}

void StepInputs::lay_out(Rows& rows, Layout& layout) const {
  const int64_t T = rows.T();
  rows.ids_there = layout.put<int32_t>(T, [&](int32_t* to) { std::copy(rows.ids.begin(), rows.ids.end(), to); });
  rows.ones = layout.put<float>(T, [&](float* to) { std::fill_n(to, T, 1.0f); });
  rows.zeros = layout.put<int32_t>(T, [&](int32_t* to) { std::fill_n(to, T, 0); });
  rows.cos_sin.clear();
  for (const std::vector<float>& freqs : freqs_) {
    rows.cos_sin.push_back(layout.put<float>(T * rope_dim_, [&](float* to) {
      for (const int64_t position : rows.positions) {
        ops::rope_cos_sin(freqs, position, to);
        to += rope_dim_;
      }
    }));
  }
  for (RowSpan& span : rows.spans) lay_out(span, layout);
}

void StepInputs::lay_out(RowSpan& span, Layout& layout) const {
  const int64_t T = span.T;
  const std::vector<const std::byte*> pages = span.state->page_table();
  span.pages = layout.put<const std::byte*>(static_cast<int64_t>(pages.size()),
                                            [&](const std::byte** to) { std::copy(pages.begin(), pages.end(), to); });

  // The window as one run of rows begins window - 1 positions before the span.
  const int64_t first = std::max<int64_t>(0, span.position0 - (window_ - 1));
  const auto oldest = [&](int64_t t) { return std::max<int64_t>(0, span.position0 + t - (window_ - 1)); };
  span.window_begin = layout.put<int64_t>(T, [&](int64_t* to) {
    for (int64_t t = 0; t < T; ++t) to[t] = oldest(t) - first;
  });
  span.window_n = layout.put<int64_t>(T, [&](int64_t* to) {
    for (int64_t t = 0; t < T; ++t) to[t] = span.position0 + t - oldest(t) + 1;
  });

  span.groups.assign(kinds_.size(), {});
  for (size_t k = 0; k < kinds_.size(); ++k) {
    const int64_t ratio = kinds_[k].ratio;
    if (ratio == 0) continue;
    SpanGroups& groups = span.groups[k];
    const int64_t first_group = span.position0 / ratio;
    groups.visible_max = (span.position0 + T) / ratio;
    groups.n = groups.visible_max - first_group;
    groups.visible = layout.put<int64_t>(T, [&](int64_t* to) {
      for (int64_t t = 0; t < T; ++t) to[t] = (span.position0 + t + 1) / ratio;
    });
    groups.slots = layout.put<int64_t>(groups.n, [&](int64_t* to) {
      for (int64_t g = 0; g < groups.n; ++g) to[g] = first_group + g;
    });
    if (!kinds_[k].has_compressor) continue;
    groups.cos_sin = layout.put<float>(groups.n * rope_dim_, [&](float* to) {
      for (int64_t g = 0; g < groups.n; ++g) {
        ops::rope_cos_sin(freqs_[kinds_[k].rope], (first_group + g) * ratio, to + g * rope_dim_);
      }
    });
  }
}

}  // namespace hadal
