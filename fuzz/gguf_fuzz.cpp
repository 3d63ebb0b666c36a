// GGUF files from strangers: parsing never crashes, every value and tensor lies inside the file, no tensor over
// another, and what was parsed can be written as a header that says the same. Metadata are read as a model's, too.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "formats/checkpoint.h"
#include "formats/gguf/gguf_writer.h"
#include "model/gguf/gguf_config.h"
#include "model/gguf/gguf_tokenizer.h"
#include "model/weight_set.h"

namespace {

using namespace hadal;

void check_values(const GgufFile& file) {
  for (const auto& [key, value] : file.metadata) {
    HADAL_CHECK(file.find(key) == &value, "key is not found");
    (void)value.shown();
    (void)value.strings();
    for (uint64_t i = 0; i < std::min<uint64_t>(value.count, 4); ++i) {
      (void)value.as_int(i);
      (void)value.as_real(i);
    }
    HADAL_CHECK(!value.as_int(value.count) && !value.as_real(value.count), "an element behind the last");
  }
}

void check_tensors(const GgufFile& file, uint64_t file_bytes) {
  uint64_t end = file.data_begin;
  for (const StoredTensor& tensor : file.tensors) {
    HADAL_CHECK(tensor.file_offset >= end, "overlap before", tensor.place());
    HADAL_CHECK((tensor.file_offset - file.data_begin) % file.alignment == 0, "not aligned", tensor.place());
    const BlockSize block = dtype_block(tensor.dtype);
    HADAL_CHECK(tensor.elements() / block.values * block.bytes == static_cast<int64_t>(tensor.bytes.size()), "size of",
                tensor.place());
    end = tensor.file_offset + tensor.bytes.size();
    HADAL_CHECK(end <= file_bytes, "beyond the file", tensor.place());
  }
}

void check_written(const GgufFile& file) {
  std::vector<TensorToWrite> tensors;
  uint64_t data_bytes = 0;
  for (const StoredTensor& tensor : file.tensors) {
    tensors.push_back({std::string(tensor.name), tensor.dtype, tensor.shape});
    data_bytes += (tensor.bytes.size() + kGgufWriteAlignment) / kGgufWriteAlignment * kGgufWriteAlignment;
  }
  if (data_bytes > (1 << 20)) return;
  std::string again = gguf_header({}, tensors, kGgufWriteAlignment);
  again.append(data_bytes, '\0');
  const Result<GgufFile> parsed = parse_gguf(std::as_bytes(std::span(again)), "again");
  HADAL_CHECK(parsed.ok(), "does not read back:", parsed.ok() ? "" : parsed.error().to_string());
  HADAL_CHECK(parsed->tensors.size() == tensors.size(), "reads back otherwise");
}

// What metadata say of a model is refused or can be worked with.
void check_model(const GgufFile& file) {
  if (const Result<ModelDescription> description = parse_gguf_description(file, file.tensors, "fuzz.gguf");
      description.ok()) {
    HADAL_CHECK(!description->layers.empty(), "a model without layers");
    HADAL_CHECK(!expected_tensors(*description).empty(), "a model without tensors");
  }
  const Result<std::optional<Tokenizer>> tokenizer = parse_gguf_tokenizer(file, "fuzz.gguf");
  if (tokenizer.ok() && *tokenizer) {
    HADAL_CHECK((*tokenizer)->decode((*tokenizer)->encode("a 1\n", AddedTokens::kAsText), false) == "a 1\n",
                "a tokenizer that loses text");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  if (const Result<GgufFile> file = parse_gguf(bytes, "fuzz.gguf"); file.ok()) {
    check_values(*file);
    check_tensors(*file, size);
    check_written(*file);
    check_model(*file);
  }
  return 0;
}
