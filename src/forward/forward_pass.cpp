#include "forward/forward_pass.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "forward/forward_impl.h"
#include "ops/batch.h"
#include "ops/embed/embed.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/router/router.h"

namespace hadal {
namespace {

Rows rows_of(std::span<const SequenceStep> steps) {
  Rows rows;
  for (size_t s = 0; s < steps.size(); ++s) {
    const SequenceStep& step = steps[s];
    const int64_t position0 = step.state->length();
    rows.spans.push_back({.state = step.state,
                          .sequence = s,
                          .row0 = rows.T(),
                          .T = static_cast<int64_t>(step.ids.size()),
                          .position0 = position0});
    for (size_t i = 0; i < step.ids.size(); ++i) {
      rows.ids.push_back(step.ids[i]);
      rows.positions.push_back(position0 + static_cast<int64_t>(i));
    }
  }
  return rows;
}

Result<void> check_steps(std::span<const SequenceStep> steps, const ForwardOptions& options, int64_t vocab_size) {
  int64_t T = 0;
  for (const SequenceStep& step : steps) {
    HADAL_CHECK(!step.ids.empty(), "a step without tokens");
    HADAL_CHECK(step.state->layout().options.mtp == options.mtp, "state and pass disagree about the draft layer");
    for (const int32_t id : step.ids) HADAL_CHECK(id >= 0 && id < vocab_size, "token id", id, "vocabulary", vocab_size);
    T += static_cast<int64_t>(step.ids.size());
    const int64_t end = step.state->length() + static_cast<int64_t>(step.ids.size());
    if (end > options.context_tokens) {
      return Error{.code = ErrorCode::kLimit,
                   .what = "the sequence is longer than the context that memory was planned for",
                   .in = "",
                   .want = fmt::format("at most {} tokens", options.context_tokens),
                   .found = fmt::format("{} tokens", end),
                   .hint = "start with a larger --context"};
    }
  }
  HADAL_CHECK(T <= options.tokens_max, "tokens of a step", T, options.tokens_max);
  return {};
}

// A draft row is complete when the token behind it is known, so its latent would be written into a page that may be
// full by then, and shared. There are no goldens to hold such a layer against either.
Error latent_draft_unsupported(const ModelDescription& description) {
  return Error{.code = ErrorCode::kUnsupported,
               .what = "a draft layer of latent attention cannot be computed yet",
               .in = fmt::format("layer {}", description.layers.size()),
               .want = "a draft layer with a window",
               .found = "latent attention",
               .hint = "run without drafts: the trunk does not need them"};
}

// The first row whose logits somebody wants; rows behind it are computed, wanted or not, so that they stay one piece.
int64_t first_row_wanted(const Rows& rows, std::span<const SequenceStep> steps) {
  int64_t first = rows.T();
  for (const RowSpan& span : rows.spans) {
    const std::span<const int64_t> wanted = steps[span.sequence].logits_at;
    if (!wanted.empty()) first = std::min(first, span.row0 + wanted.front() - span.position0);
  }
  return first;
}

// The first row that a layer must take when its output is wanted from row `computed` on: all rows where each leaves
// something that every later token may ask for (entries, latents); where the layer has only a window, or takes the
// entries of another, the rows that those computed, and the next tokens, see through it.
int64_t first_row_taken(const LayerDescription& layer, const Rows& rows, int64_t window, int64_t computed) {
  if (is_mla(layer.attention) || layer.makes_entries()) return 0;
  int64_t first = computed;
  for (const RowSpan& span : rows.spans) {
    const int64_t from = std::clamp(computed, span.row0, span.row0 + span.T);
    first = std::min(first, std::max(span.row0, from - (window - 1)));
  }
  return first;
}

// Rows [begin, end) of all as a part; nothing when there are none.
std::optional<size_t> part_of(StepRows& step, int64_t begin, int64_t end) {
  if (begin == end) return std::nullopt;
  if (begin == 0 && end == step.all().T()) return 0;
  for (size_t i = 1; i < step.parts.size(); ++i) {
    if (step.parts[i].begin == begin && step.parts[i].T() == end - begin) return i;
  }
  step.parts.push_back(step.all().between(begin, end));
  return step.parts.size() - 1;
}

// What comes behind the keys of a prompt's tokens would make logits that nobody asked for: from the last layer down, a
// layer computes the rows that the one above it takes, and remembers what those see. Every row is computed as it would
// be among all, so that no bit depends on it. V4 saves its last layer; of V4.1, whose last layers share the entries of
// one, all those, down to window - 1 rows a layer.
StepRows step_rows(std::span<const SequenceStep> steps, const ModelDescription& d, bool needs_all) {
  StepRows step;
  step.parts.push_back(rows_of(steps));
  step.layers.resize(d.layers.size());
  int64_t computed = needs_all ? 0 : first_row_wanted(step.all(), steps);
  for (size_t l = d.layers.size(); l-- > 0;) {
    const int64_t begin = first_row_taken(d.layers[l], step.all(), d.window, computed);
    step.layers[l] = {.begin = begin,
                      .remembered = part_of(step, begin, computed),
                      .computed = part_of(step, computed, step.all().T())};
    computed = begin;
  }
  return step;
}

}  // namespace

void Activations::show(const Weight& weight, InputObserver& observer) const {
  // Groups meet rows of their own of the same matrix.
  observer.input(weight, x_, T_ * groups_, K_);
}

const ops::PackedRows& Activations::rounded(ops::ActivationRounding rounding) {
  ops::PackedRows& packed = packed_[static_cast<size_t>(rounding)];
  if (packed.data != nullptr) return packed;
  packed = {.format = ops::row_format(rounding), .T = T_, .groups = groups_, .K = K_, .data = nullptr};
  switch (rounding) {
    case ops::ActivationRounding::kNone:
      if (K_ % 64 == 0) {  // already as PackedRows wants it
        packed.data = reinterpret_cast<std::byte*>(const_cast<float*>(x_));
        return packed;
      }
      packed.data = workspace_.packed_none;
      break;
    case ops::ActivationRounding::kBf16:
      packed.data = workspace_.packed_bf16;
      break;
    case ops::ActivationRounding::kE4m3:
    case ops::ActivationRounding::kE4m3By32:
    case ops::ActivationRounding::kE4m3FloatScale:
      packed.data = workspace_.packed_e4m3;
      break;
    case ops::ActivationRounding::kInt8:
      packed.data = workspace_.packed_int8;
      break;
    case ops::ActivationRounding::kInt8Lanes:
      packed.data = workspace_.packed_lanes;
      break;
  }
  ops::pack_rows(device_, {.x = x_, .x_stride = groups_ * K_, .rounding = rounding, .out = packed});
  return packed;
}

ops::PackedRows Activations::packed_beside(ops::ActivationRounding rounding) {
  if (rounding != ops::ActivationRounding::kBf16) return {};
  ops::PackedRows& packed = packed_[static_cast<size_t>(rounding)];
  packed = {.format = ops::row_format(rounding), .T = T_, .groups = groups_, .K = K_, .data = workspace_.packed_bf16};
  return packed;
}

ForwardPass::ForwardPass(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ForwardPass::ForwardPass(ForwardPass&&) noexcept = default;
ForwardPass& ForwardPass::operator=(ForwardPass&&) noexcept = default;
ForwardPass::~ForwardPass() = default;

const ForwardOptions& ForwardPass::options() const {
  return impl_->options;
}

uint64_t ForwardPass::workspace_bytes(const ModelDescription& description, const ForwardOptions& options,
                                      const Device::Shape& device) {
  Workspace ignored;
  return lay_out_workspace(description, options, device, nullptr, ignored) +
         static_cast<uint64_t>(results_bytes(description, device));
}

Result<ForwardPass> ForwardPass::create(Device& device, const ModelDescription& description,
                                        const ModelWeights& weights, const ForwardOptions& options) {
  HADAL_CHECK(!options.mtp || !weights.mtp.empty(), "a draft layer without weights");
  HADAL_CHECK(options.inputs == nullptr || device.shares_host_memory(), "inputs of matrices are elsewhere");
  HADAL_CHECK(description.engram_rows_per_token() == 0 || !weights.engram_classes.empty(), "Engram without classes");
  if (options.mtp && is_mla(description.mtp_layers.front().attention)) return latent_draft_unsupported(description);
  Workspace workspace;
  const uint64_t bytes = lay_out_workspace(description, options, device.shape(), nullptr, workspace);
  HADAL_ASSIGN(Buffer memory, device.allocate(static_cast<int64_t>(bytes)));
  HADAL_ASSIGN(Mirror results, Mirror::allocate(device, results_bytes(description, device.shape())));
  lay_out_workspace(description, options, device.shape(), memory.data(), workspace);
  workspace.not_finite = reinterpret_cast<int64_t*>(results.on_device());
  workspace.logits = reinterpret_cast<float*>(results.on_device() + kLogitsOffset);
  return ForwardPass(
      std::make_unique<Impl>(Impl{device, description, weights, options, std::move(memory), workspace,
                                  StepInputs(device, description, weights.engram_classes), std::move(results)}));
}

Result<void> ForwardPass::run(std::span<const SequenceStep> steps, StepObserver& observer) {
  return impl_->run(steps, observer);
}

ops::ActivationRounding ForwardPass::Impl::rounding_for(const Weight& weight) const {
  const bool is_quantized = weight.dtype == DType::kF8E4M3 || weight.dtype == DType::kF4E2M1;
  switch (options.mode) {
    case NumericMode::kExact:
      return ops::ActivationRounding::kNone;
    case NumericMode::kPublished:
      if (!is_quantized) return ops::ActivationRounding::kNone;
      if (description.activation_scale == ActivationScale::kFloat) return ops::ActivationRounding::kE4m3FloatScale;
      return description.activation_block == 32 ? ops::ActivationRounding::kE4m3By32 : ops::ActivationRounding::kE4m3;
    case NumericMode::kFast:
      if (ops::is_met_in_int8(weight.dtype) && ops::has_int8_rows(device.shape())) {
        return is_block_type(weight.dtype) ? ops::ActivationRounding::kInt8Lanes : ops::ActivationRounding::kInt8;
      }
      return weight.dtype == DType::kF32 ? ops::ActivationRounding::kNone : ops::ActivationRounding::kBf16;
  }
  return ops::ActivationRounding::kNone;
}

ops::ActivationRounding ForwardPass::Impl::rounding_for(const ExpertWeights& expert) const {
  const ops::ActivationRounding gate = rounding_for(expert.w1);
  return gate == rounding_for(expert.w3) ? gate : ops::ActivationRounding::kNone;
}

void ForwardPass::Impl::apply(const Weight& weight, Activations& x, float* y, int64_t y_stride) {
  if (options.inputs != nullptr) x.show(weight, *options.inputs);
  ops::linear(device, {.x = x.rounded(rounding_for(weight)), .w = weight, .y = y, .y_stride = y_stride});
}

std::vector<std::span<const RowSpan>> ForwardPass::Impl::batches_of(const Rows& rows) const {
  const auto n_max = static_cast<size_t>(ops::ops_of_batch(device.shape()));
  std::vector<std::span<const RowSpan>> batches;
  for (std::span<const RowSpan> left = rows.spans; !left.empty(); left = left.subspan(batches.back().size())) {
    batches.push_back(left.first(std::min(left.size(), n_max)));
  }
  return batches;
}

void ForwardPass::Impl::apply(std::span<const Product> products, Activations& x) {
  std::vector<ops::Linear> linears;
  for (const Product& product : products) {
    if (options.inputs != nullptr) x.show(product.weight, *options.inputs);
    linears.push_back({.x = x.rounded(rounding_for(product.weight)),
                       .w = product.weight,
                       .y = product.y,
                       .y_stride = product.y_stride});
  }
  ops::linear(device, linears);
}

ops::RmsNorm ForwardPass::Impl::norm_of(const float* x, Vector gain, float* y, int64_t rows, int64_t width,
                                        const ops::PackedRows& packed) const {
  return {.x = x,
          .gain = gain.empty() ? nullptr : gain.data(),
          .y = y,
          .T = rows,
          .C = width,
          .x_stride = width,
          .y_stride = width,
          .eps = static_cast<float>(description.rms_norm_eps),
          .packed = packed};
}

void ForwardPass::Impl::norm_rows(const float* x, Vector gain, float* y, int64_t rows, int64_t width) {
  ops::rms_norm(device, norm_of(x, gain, y, rows, width, {}));
}

Activations ForwardPass::Impl::normed(const float* x, Vector gain, float* y, int64_t rows, int64_t width,
                                      ops::ActivationRounding rounding) {
  Activations out(device, workspace, y, rows, width);
  ops::rms_norm(device, norm_of(x, gain, y, rows, width, out.packed_beside(rounding)));
  return out;
}

Result<void> ForwardPass::Impl::block(size_t layer, const LayerDescription& layer_description,
                                      const LayerWeights& layer_weights, const Rows& rows, float* streams,
                                      StepObserver& observer) {
  Activations x =
      enter_sublayer(layer_weights.attn_hc, layer_weights.attn_norm, rounding_for(layer_weights.wq_a), streams, rows);
  if (is_mla(layer_description.attention)) {
    HADAL_TRY(latent_attention(layer, layer_description, layer_weights, rows, x, observer));
  } else {
    HADAL_TRY(attention(layer, layer_description, layer_weights, rows, x, observer));
  }
  leave_sublayer(streams, rows);
  const bool is_dense = layer_description.ffn == FfnKind::kDense;
  const ops::ActivationRounding rounding = rounding_for(is_dense ? layer_weights.dense : layer_weights.experts.front());
  Activations h = enter_sublayer(layer_weights.ffn_hc, layer_weights.ffn_norm, rounding, streams, rows);
  HADAL_TRY(feed_forward(layer, layer_description, layer_weights, rows, h, observer));
  leave_sublayer(streams, rows);
  return {};
}

void ForwardPass::Impl::remember(size_t layer, const LayerDescription& layer_description,
                                 const LayerWeights& layer_weights, const Rows& rows, const float* streams) {
  Activations x =
      enter_sublayer(layer_weights.attn_hc, layer_weights.attn_norm, rounding_for(layer_weights.wkv), streams, rows);
  if (is_mla(layer_description.attention)) {
    latent_keys(layer, layer_description, layer_weights, rows, x);
  } else {
    apply(key_products(layer, layer_description, layer_weights, rows.spans.front().state->layout()), x);
    window_keys(layer, layer_description, layer_weights, rows, x);
    store_keys(layer, rows.spans, WindowOut::kNone);
  }
}

Result<void> ForwardPass::Impl::observe_streams(size_t layer, const Rows& rows, const float* row_streams,
                                                StepObserver& observer) const {
  const int64_t stream_floats = description.hc_mult * description.hidden;
  HADAL_ASSIGN(const auto view, HostView<float>::of(device, row_streams, rows.T() * stream_floats));
  for (const RowSpan& span : rows.spans) {
    observer.streams(span.sequence, layer, span.position0, span.T, view.data() + span.row0 * stream_floats);
  }
  return {};
}

Result<void> ForwardPass::Impl::trunk_layer(size_t layer, const StepRows& step, StepObserver& observer) {
  const LayerDescription& layer_description = description.layers[layer];
  const LayerWeights& layer_weights = weights.layers[layer];
  const LayerRows& layer_rows = step.layers[layer];
  const int64_t stream_floats = description.hc_mult * description.hidden;
  if (layer_rows.begin == step.all().T()) return {};
  if (layer_description.engram_rows > 0) {
    engram(layer, layer_weights.engram, step.all(), layer_rows.begin, workspace.streams);
  }
  if (layer_rows.remembered) {
    const Rows& rows = step.parts[*layer_rows.remembered];
    remember(layer, layer_description, layer_weights, rows, workspace.streams + rows.begin * stream_floats);
  }
  if (!layer_rows.computed) return {};
  const Rows& rows = step.parts[*layer_rows.computed];
  float* row_streams = workspace.streams + rows.begin * stream_floats;
  HADAL_TRY(block(layer, layer_description, layer_weights, rows, row_streams, observer));
  return observer.wants_layers() ? observe_streams(layer, rows, row_streams, observer) : Result<void>();
}

Result<void> ForwardPass::Impl::run(std::span<const SequenceStep> steps, StepObserver& observer) {
  HADAL_TRY(check_steps(steps, options, description.vocab_size));
  if (steps.empty()) return {};
  StepRows step = step_rows(steps, description, options.mtp || observer.wants_all_rows());
  if (options.mtp) step.draft = draft_rows(step.all());
  for (const SequenceStep& sequence : steps) HADAL_TRY(sequence.state->begin_append(sequence.ids));
  HADAL_TRY(inputs.lay_out(step));
  device.fill(workspace.not_finite, ops::kAllFiniteByte, sizeof *workspace.not_finite);

  const Rows& all = step.all();
  float* streams = workspace.streams;
  const int64_t n = description.hc_mult;
  ops::embed(device, {.table = weights.embed, .ids = all.ids_there, .x = streams, .T = all.T(), .n = n});
  const bool is_lagging = description.residual == ResidualKind::kLaggedHyperConnections;
  if (is_lagging) {
    device.copy(workspace.hc_mix, all.first_stream, all.T() * n * static_cast<int64_t>(sizeof(float)));
  }
  for (size_t l = 0; l < description.layers.size(); ++l) HADAL_TRY(trunk_layer(l, step, observer));

  std::vector<WantedLogits> wanted;
  for (const RowSpan& span : all.spans) {
    for (const int64_t position : steps[span.sequence].logits_at) {
      const int64_t row = span.row0 + position - span.position0;
      wanted.push_back({span.sequence, position, streams + row * n * description.hidden,
                        is_lagging ? workspace.hc_mix + row * n : nullptr});
    }
  }
  const auto emit = [&](const WantedLogits& row, std::span<const float> logits) {
    observer.logits(row.sequence, row.position, logits);
  };
  HADAL_TRY(logits_of(step, weights.head_hc, weights.norm, wanted, emit));
  if (options.mtp) HADAL_TRY(draft(step, steps, observer));
  for (const SequenceStep& sequence : steps) sequence.state->commit_append(static_cast<int64_t>(sequence.ids.size()));
  return {};
}

}  // namespace hadal
