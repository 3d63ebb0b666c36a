// safetensors files and index files from strangers: parsing never crashes, every tensor lies inside the file and has
// the bytes that its shape asks for, and what was parsed can be written as a header that says the same.
//
// The input is taken three times: as a whole file, as a header before 64 bytes of data (the length prefix is hard to
// hit by chance), and as the index of a checkpoint.
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/check.h"
#include "formats/checkpoint.h"
#include "formats/safetensors.h"

namespace {

using namespace hadal;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

void check_same_header(const SafetensorsFile& file) {
  std::vector<TensorToWrite> tensors;
  for (const StoredTensor& tensor : file.tensors)
    tensors.push_back({std::string(tensor.name), tensor.dtype, tensor.shape});
  std::string again = safetensors_header(tensors, file.metadata);
  uint64_t data_bytes = 0;
  for (const StoredTensor& tensor : file.tensors) data_bytes += tensor.bytes.size();
  again.append(data_bytes, '\0');
  const Result<SafetensorsFile> parsed = parse_safetensors(bytes_of(again), "again");
  HADAL_CHECK(parsed.ok(), "does not read back:", parsed.ok() ? "" : parsed.error().to_string());
  HADAL_CHECK(parsed->tensors.size() == tensors.size() && parsed->metadata == file.metadata, "reads back otherwise");
}

void check_file(std::string_view text) {
  const Result<SafetensorsFile> file = parse_safetensors(bytes_of(text), "fuzz");
  if (!file.ok()) return;
  uint64_t end = file->header_bytes;
  for (const StoredTensor& tensor : file->tensors) {
    HADAL_CHECK(tensor.file_offset == end, "gap before", tensor.place());
    end += tensor.bytes.size();
    HADAL_CHECK(end <= text.size(), "beyond the file", tensor.place());
    HADAL_CHECK(tensor.elements() * dtype_bits(tensor.dtype) == static_cast<int64_t>(8 * tensor.bytes.size()),
                "size of", tensor.place());
  }
  HADAL_CHECK(end == text.size(), "bytes left over", text.size() - end);
  check_same_header(*file);
}

// Beside the index lies one shard with the tensors a and b.
void check_index(std::string_view text) {
  static const std::string kShard = [] {
    const std::vector<TensorToWrite> tensors = {{"a", DType::kU8, {4}}, {"b", DType::kU8, {4}}};
    return safetensors_header(tensors, {}) + "12345678";
  }();
  const std::vector<EmbeddedFile> list = {{"model.safetensors.index.json", bytes_of(text)},
                                          {"1.safetensors", bytes_of(kShard)}};
  ModelFiles files = ModelFiles::embedded("fuzz", list);
  const Result<Checkpoint> checkpoint = Checkpoint::open(files);
  if (checkpoint.ok()) HADAL_CHECK(checkpoint->tensor_bytes() % 8 == 0, "not the shard's tensors");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_file(text);
  std::string file(8, '\0');
  const uint64_t length = size;
  std::memcpy(file.data(), &length, sizeof length);
  check_file(file.append(text).append(64, '\0'));
  check_index(text);
  return 0;
}
