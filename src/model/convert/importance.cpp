#include "model/convert/importance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "formats/gguf/gguf_file.h"
#include "formats/gguf/gguf_writer.h"

namespace hadal {
namespace {

constexpr std::string_view kSums = ".in_sum2";
constexpr std::string_view kCounts = ".counts";
constexpr std::string_view kTypeKey = "general.type";
constexpr std::string_view kType = "imatrix";
constexpr std::string_view kChunksKey = "imatrix.chunk_count";
constexpr std::string_view kChunkTokensKey = "imatrix.chunk_size";
constexpr std::string_view kDatasetsKey = "imatrix.datasets";

constexpr std::string_view kMagic = "GGUF";

Error wrong(const fs::path& path, std::string_view what, std::string want, std::string found) {
  return Error{.code = ErrorCode::kCorrupt,
               .what = std::string(what),
               .in = path.string(),
               .want = std::move(want),
               .found = std::move(found),
               .hint = "make it again: hadal convert MODEL OUT --collect-imatrix TEXT --imatrix FILE"};
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("shape [{}]", fmt::join(shape, ", "));
}

Result<std::vector<float>> floats_of(const StoredTensor& tensor, const fs::path& path) {
  const auto n = static_cast<size_t>(tensor.bytes.size() / sizeof(float));
  std::vector<float> values(n);
  std::memcpy(values.data(), tensor.bytes.data(), n * sizeof(float));
  const auto bad = std::find_if(values.begin(), values.end(), [](float v) { return !(v >= 0) || std::isinf(v); });
  if (bad != values.end()) {
    return wrong(path, "importance is not a sum of squares", "finite numbers of at least 0",
                 fmt::format("{} at {} of \"{}\"", *bad, bad - values.begin(), tensor.name));
  }
  return values;
}

const StoredTensor* find_tensor(const GgufFile& file, const std::string& name) {
  const auto found =
      std::find_if(file.tensors.begin(), file.tensors.end(), [&](const StoredTensor& t) { return t.name == name; });
  return found == file.tensors.end() ? nullptr : &*found;
}

// [n_matrices, cols], as two axes or as one for a single matrix.
Result<TensorImportance> tensor_of(const GgufFile& file, const StoredTensor& sums, std::string_view name,
                                   const fs::path& path) {
  const StoredTensor* counts = find_tensor(file, std::string(name) + std::string(kCounts));
  if (counts == nullptr) {
    return wrong(path, "importance without counts", fmt::format("a tensor \"{}{}\"", name, kCounts), "none");
  }
  for (const StoredTensor* tensor : {&sums, counts}) {
    if (tensor->dtype == DType::kF32 && !tensor->shape.empty()) continue;
    return wrong(path, "importance of another type", "F32", fmt::format("\"{}\"", tensor->name));
  }
  TensorImportance out{.cols = sums.shape.back(), .sums = {}, .counts = {}};
  HADAL_ASSIGN(out.sums, floats_of(sums, path));
  HADAL_ASSIGN(out.counts, floats_of(*counts, path));
  if (out.cols <= 0 || out.sums.size() != out.counts.size() * static_cast<size_t>(out.cols)) {
    return wrong(path, "counts do not fit the sums",
                 fmt::format("one for each of the {} rows of \"{}\"", sums.shape.front(), sums.name),
                 shape_text(counts->shape));
  }
  return out;
}

}  // namespace

Result<std::vector<float>> ImportanceMatrix::mean_squares(std::string_view tensor, size_t i, size_t n_matrices,
                                                          int64_t cols) const {
  const auto found = tensors.find(tensor);
  if (found == tensors.end()) return std::vector<float>();
  const TensorImportance& known = found->second;
  if (known.cols != cols || known.n_matrices() != n_matrices) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "importance matrix of another model",
                 .in = fmt::format("\"{}\"", tensor),
                 .want = fmt::format("{} x {} channels", n_matrices, cols),
                 .found = fmt::format("{} x {}", known.n_matrices(), known.cols),
                 .hint = "collect it from this model: --collect-imatrix TEXT"};
  }
  if (known.counts[i] <= 0) return std::vector<float>();
  const auto begin = known.sums.begin() + static_cast<std::ptrdiff_t>(i) * cols;
  std::vector<float> means(begin, begin + cols);
  for (float& mean : means) mean /= known.counts[i];
  return means;
}

Result<ImportanceMatrix> read_importance(const fs::path& path) {
  HADAL_ASSIGN(const MappedFile mapped, MappedFile::open(path));
  const std::span<const std::byte> bytes = mapped.bytes();
  if (bytes.size() < kMagic.size() || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    return Error{.code = ErrorCode::kUnsupported,
                 .what = "not an importance matrix",
                 .in = path.string(),
                 .want = "a GGUF file of type \"imatrix\"",
                 .found = "another format, perhaps the older imatrix.dat",
                 .hint = "llama-imatrix writes GGUF since 2025; llama.cpp converts older ones"};
  }
  const std::string name = path.filename().string();
  HADAL_ASSIGN(const GgufFile file, parse_gguf(bytes, name));
  const GgufValue* type = file.find(kTypeKey);
  if (type == nullptr || type->as_string() != kType) {
    return wrong(path, "not an importance matrix", fmt::format("{} \"{}\"", kTypeKey, kType),
                 type == nullptr ? "none" : type->shown());
  }
  ImportanceMatrix out;
  if (const GgufValue* n = file.find(kChunksKey)) out.n_chunks = n->as_int().value_or(0);
  if (const GgufValue* n = file.find(kChunkTokensKey)) out.chunk_tokens = n->as_int().value_or(0);
  for (const StoredTensor& tensor : file.tensors) {
    if (!tensor.name.ends_with(kSums)) continue;
    const std::string_view of = tensor.name.substr(0, tensor.name.size() - kSums.size());
    HADAL_ASSIGN(TensorImportance importance, tensor_of(file, tensor, of, path));
    out.tensors.emplace(std::string(of), std::move(importance));
  }
  if (out.tensors.empty()) return wrong(path, "no importance in the file", "tensors named *.in_sum2", "none");
  return out;
}

Result<void> write_importance(const ImportanceMatrix& matrix, const fs::path& path) {
  GgufMetadata metadata;
  metadata.add(kTypeKey, kType);
  metadata.add(kChunksKey, static_cast<uint32_t>(matrix.n_chunks));
  metadata.add(kChunkTokensKey, static_cast<uint32_t>(matrix.chunk_tokens));
  metadata.add(kDatasetsKey, std::span<const std::string>());
  std::vector<TensorToWrite> headers;
  for (const auto& [name, tensor] : matrix.tensors) {
    const auto n = static_cast<int64_t>(tensor.n_matrices());
    headers.push_back({.name = name + std::string(kSums), .dtype = DType::kF32, .shape = {n, tensor.cols}});
    headers.push_back({.name = name + std::string(kCounts), .dtype = DType::kF32, .shape = {n, 1}});
  }
  HADAL_ASSIGN(GgufWriter writer, GgufWriter::create(path, std::move(metadata), std::move(headers)));
  for (const auto& [name, tensor] : matrix.tensors) {
    HADAL_TRY(writer.write(std::as_bytes(std::span(tensor.sums))));
    HADAL_TRY(writer.write(std::as_bytes(std::span(tensor.counts))));
  }
  return writer.commit();
}

}  // namespace hadal
