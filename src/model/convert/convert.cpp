#include "model/convert/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/blocks/block_codec.h"
#include "base/threads.h"
#include "formats/gguf/gguf_writer.h"
#include "formats/out_folder.h"
#include "model/convert/weight_values.h"
#include "model/engram_token_map.h"
#include "model/gguf/gguf_config.h"
#include "model/gguf/gguf_tokenizer.h"

namespace hadal {
namespace {

// Floats that are decoded, encoded and written at once: 4 MiB, some milliseconds of work for every thread.
constexpr int64_t kPieceValues = 1 << 20;
constexpr uint32_t kQuantizationVersion = 2;  // of ggml's block layouts

using WriteBytes = std::function<Result<void>(std::span<const std::byte>)>;

Error bad_value(const TensorToWrite& out, int64_t row) {
  return Error{.code = ErrorCode::kCorrupt,
               .what = "weight is not a number",
               .in = fmt::format("source of \"{}\"", out.name),
               .want = "finite numbers",
               .found = fmt::format("NaN or infinity in row {}", row),
               .hint = "`hadal inspect --verify` finds all of them"};
}

// Writes tensors as the numbers of their types.
class TensorStream {
 public:
  TensorStream(uint64_t total_bytes, const ImportanceMatrix* importance, const ConvertProgress& progress,
               WriteBytes write)
      : pool_(available_processors()),
        total_bytes_(total_bytes),
        importance_(importance),
        progress_(progress),
        write_(std::move(write)) {}

  Result<void> write(const ConvertTensor& tensor) {
    if (const auto* parts = std::get_if<std::vector<MatrixPart>>(&tensor.source)) {
      for (size_t i = 0; i < parts->size(); ++i) {
        HADAL_ASSIGN(const std::vector<float> weights, channel_weights(tensor.out, *parts, i));
        HADAL_TRY(write_part(tensor.out, (*parts)[i], weights.empty() ? nullptr : weights.data()));
        if (i == 0 && !weights.empty()) ++n_weighed_;
      }
      return {};
    }
    if (const auto* vector = std::get_if<Vector>(&tensor.source)) return put(std::as_bytes(*vector));
    return put(std::as_bytes(std::get<std::span<const int32_t>>(tensor.source)));
  }

  size_t n_weighed() const { return n_weighed_; }

 private:
  // How much an error costs in each column of part i; empty: unknown, or the type does not ask.
  Result<std::vector<float>> channel_weights(const TensorToWrite& out, const std::vector<MatrixPart>& parts,
                                             size_t i) const {
    if (importance_ == nullptr || !is_block_type(out.dtype) || parts[i].is_transposed) return std::vector<float>();
    return importance_->mean_squares(out.name, i, parts.size(), parts[i].weight->cols);
  }

  Result<void> write_part(const TensorToWrite& out, const MatrixPart& part, const float* weights) {
    if (part.is_transposed) return write_transposed(out, part);
    const int64_t cols = part.weight->cols;
    const int64_t rows_at_once = std::max<int64_t>(1, kPieceValues / cols);
    for (int64_t row = 0; row < part.rows; row += rows_at_once) {
      const int64_t n = std::min(rows_at_once, part.rows - row);
      floats_.resize(static_cast<size_t>(n * cols));
      pool_.run(n, [&](int64_t i) { decode_weight_row(*part.weight, part.row0 + row + i, floats_.data() + i * cols); });
      HADAL_TRY(encode_and_put(out, part.row0 + row, n, cols, weights));
    }
    return {};
  }

  // A part is one head's half: 256 KiB in V3.
  Result<void> write_transposed(const TensorToWrite& out, const MatrixPart& part) {
    const int64_t cols = part.weight->cols;
    std::vector<float> row(static_cast<size_t>(cols));
    floats_.resize(static_cast<size_t>(part.rows * cols));
    for (int64_t r = 0; r < part.rows; ++r) {
      decode_weight_row(*part.weight, part.row0 + r, row.data());
      for (int64_t c = 0; c < cols; ++c) floats_[static_cast<size_t>(c * part.rows + r)] = row[static_cast<size_t>(c)];
    }
    return encode_and_put(out, part.row0, cols, part.rows, nullptr);
  }

  Result<void> encode_and_put(const TensorToWrite& out, int64_t first_row, int64_t n, int64_t cols,
                              const float* weights) {
    const int64_t row_bytes = dtype_bytes(out.dtype, cols);
    bytes_.resize(static_cast<size_t>(n * row_bytes));
    std::vector<uint8_t> is_bad(static_cast<size_t>(n), 0);
    pool_.run(n, [&](int64_t i) {
      const float* row = floats_.data() + i * cols;
      if (!std::all_of(row, row + cols, [](float v) { return std::isfinite(v); })) {
        is_bad[static_cast<size_t>(i)] = 1;
        return;
      }
      encode_values(out.dtype, row, weights, cols, bytes_.data() + i * row_bytes);
    });
    const auto bad = std::find(is_bad.begin(), is_bad.end(), 1);
    if (bad != is_bad.end()) return bad_value(out, first_row + (bad - is_bad.begin()));
    return put(bytes_);
  }

  Result<void> put(std::span<const std::byte> bytes) {
    HADAL_TRY(write_(bytes));
    done_bytes_ += bytes.size();
    if (!progress_ || progress_(done_bytes_, total_bytes_)) return {};
    return Error{.code = ErrorCode::kCancelled,
                 .what = "cancelled",
                 .in = "conversion",
                 .want = "",
                 .found = "",
                 .hint = "nothing was left there"};
  }

  ThreadPool pool_;
  uint64_t total_bytes_;
  uint64_t done_bytes_ = 0;
  size_t n_weighed_ = 0;
  const ImportanceMatrix* importance_;
  const ConvertProgress& progress_;
  WriteBytes write_;
  std::vector<float> floats_;
  std::vector<std::byte> bytes_;
};

ConvertSummary summary_of(const std::vector<ConvertTensor>& tensors) {
  ConvertSummary summary{.n_tensors = tensors.size()};
  for (const ConvertTensor& tensor : tensors) summary.tensor_bytes += tensor.out.bytes();
  return summary;
}

std::vector<TensorToWrite> headers_of(const std::vector<ConvertTensor>& tensors) {
  std::vector<TensorToWrite> headers;
  for (const ConvertTensor& tensor : tensors) headers.push_back(tensor.out);
  return headers;
}

Result<GgufMetadata> metadata_of(const ConvertSource& source, const TypeMix& mix) {
  const ModelDescription& d = source.description;
  GgufMetadata metadata;
  add_gguf_description(d, metadata);
  metadata.add("general.name", std::string_view(source.name));
  metadata.add("general.type", std::string_view("model"));
  metadata.add("general.file_type", mix.file_type);
  metadata.add("general.quantization_version", kQuantizationVersion);
  if (source.tokenizer_json) {
    HADAL_TRY(add_gguf_tokenizer(*source.tokenizer_json, "tokenizer.json", d.vocab_size, !d.has_mla(), metadata));
    if (d.bos_token_id >= 0) metadata.add("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(d.bos_token_id));
    if (d.eos_token_id >= 0) metadata.add("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(d.eos_token_id));
    metadata.add("tokenizer.ggml.add_bos_token", true);
    metadata.add("tokenizer.ggml.add_eos_token", false);
  }
  if (!source.chat_template.empty()) metadata.add(kGgufChatTemplateKey, std::string_view(source.chat_template));
  return metadata;
}

}  // namespace

Result<ConvertSummary> write_gguf(const ConvertSource& source, const TypeMix& mix, const fs::path& path,
                                  const ConvertProgress& progress) {
  HADAL_TRY(gguf_architecture(source.description));
  const std::vector<ConvertTensor> tensors = plan_gguf(source.description, source.weights, mix);
  ConvertSummary summary = summary_of(tensors);
  summary.has_dropped_draft = source.description.residual != ResidualKind::kPlain && !source.weights.mtp.empty();
  HADAL_ASSIGN(GgufMetadata metadata, metadata_of(source, mix));
  HADAL_ASSIGN(GgufWriter writer, GgufWriter::create(path, std::move(metadata), headers_of(tensors)));
  TensorStream stream(summary.tensor_bytes, source.importance, progress,
                      [&](std::span<const std::byte> bytes) { return writer.write(bytes); });
  for (const ConvertTensor& tensor : tensors) HADAL_TRY(stream.write(tensor));
  summary.n_weighed = stream.n_weighed();
  HADAL_TRY(writer.commit());
  return summary;
}

Result<ConvertSummary> write_safetensors(const ConvertSource& source, DType matrices, const fs::path& folder,
                                         const ConvertProgress& progress) {
  const std::vector<ConvertTensor> tensors = plan_safetensors(source.description, source.weights, matrices);
  const ConvertSummary summary = summary_of(tensors);
  HADAL_ASSIGN(OutFolder out, OutFolder::create(folder, summary.tensor_bytes + summary.tensor_bytes / 100));
  HADAL_ASSIGN(AtomicFile file, out.file("model.safetensors"));
  const std::pair<std::string, std::string> format{"format", "pt"};
  HADAL_TRY(file.write(safetensors_header(headers_of(tensors), std::span(&format, 1))));
  TensorStream stream(summary.tensor_bytes, nullptr, progress,
                      [&](std::span<const std::byte> bytes) { return file.write(bytes); });
  for (const ConvertTensor& tensor : tensors) HADAL_TRY(stream.write(tensor));
  HADAL_TRY(file.commit());
  HADAL_TRY(out.write_text("config.json", json::dump_pretty(source.config) + "\n"));
  if (source.tokenizer_json)
    HADAL_TRY(out.write_text("tokenizer.json", json::dump_pretty(*source.tokenizer_json) + "\n"));
  if (!source.weights.engram_classes.empty()) {
    HADAL_TRY(out.write_text(std::string(kEngramTokenMapFile), engram_token_map_text(source.weights.engram_classes)));
  }
  if (!source.chat_template.empty()) HADAL_TRY(out.write_text("chat_template.jinja", source.chat_template));
  out.keep();
  return summary;
}

}  // namespace hadal
