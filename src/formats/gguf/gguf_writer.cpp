#include "formats/gguf/gguf_writer.h"

#include "base/check.h"

namespace hadal {
namespace {

constexpr uint32_t kVersion = 3;

template <class Number>
void put(std::string& out, Number number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void put_string(std::string& out, std::string_view text) {
  put(out, static_cast<uint64_t>(text.size()));
  out += text;
}

template <class Number>
void put_all(std::string& out, std::span<const Number> numbers) {
  out.append(reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes());
}

uint64_t padding(uint64_t bytes, uint64_t alignment) {
  return (alignment - bytes % alignment) % alignment;
}

}  // namespace

void GgufMetadata::begin(std::string_view key, GgufType type) {
  put_string(bytes_, key);
  put(bytes_, static_cast<uint32_t>(type));
  ++count_;
}

void GgufMetadata::begin_array(std::string_view key, GgufType type, uint64_t count) {
  begin(key, GgufType::kArray);
  put(bytes_, static_cast<uint32_t>(type));
  put(bytes_, count);
}

void GgufMetadata::add(std::string_view key, std::string_view text) {
  begin(key, GgufType::kString);
  put_string(bytes_, text);
}

void GgufMetadata::add(std::string_view key, uint32_t number) {
  begin(key, GgufType::kU32);
  put(bytes_, number);
}

void GgufMetadata::add(std::string_view key, float number) {
  begin(key, GgufType::kF32);
  put(bytes_, number);
}

void GgufMetadata::add(std::string_view key, bool flag) {
  begin(key, GgufType::kBool);
  put(bytes_, static_cast<uint8_t>(flag ? 1 : 0));
}

void GgufMetadata::add(std::string_view key, std::span<const std::string> texts) {
  begin_array(key, GgufType::kString, texts.size());
  for (const std::string& text : texts) put_string(bytes_, text);
}

void GgufMetadata::add(std::string_view key, std::span<const int32_t> numbers) {
  begin_array(key, GgufType::kI32, numbers.size());
  put_all(bytes_, numbers);
}

void GgufMetadata::add(std::string_view key, std::span<const uint32_t> numbers) {
  begin_array(key, GgufType::kU32, numbers.size());
  put_all(bytes_, numbers);
}

void GgufMetadata::add(std::string_view key, std::span<const float> numbers) {
  begin_array(key, GgufType::kF32, numbers.size());
  put_all(bytes_, numbers);
}

std::string gguf_header(const GgufMetadata& metadata, std::span<const TensorToWrite> tensors, uint32_t alignment) {
  GgufMetadata all = metadata;
  all.add("general.alignment", alignment);
  std::string out = "GGUF";
  put(out, kVersion);
  put(out, static_cast<uint64_t>(tensors.size()));
  put(out, all.count());
  out += all.bytes();
  uint64_t offset = 0;
  for (const TensorToWrite& tensor : tensors) {
    const std::optional<uint32_t> id = gguf_id_of(tensor.dtype);
    HADAL_CHECK(id.has_value(), "no GGUF type", dtype_name(tensor.dtype), tensor.name);
    put_string(out, tensor.name);
    put(out, static_cast<uint32_t>(tensor.shape.size()));
    for (size_t axis = tensor.shape.size(); axis-- > 0;) put(out, static_cast<uint64_t>(tensor.shape[axis]));
    put(out, *id);
    put(out, offset);
    offset += tensor.bytes() + padding(tensor.bytes(), alignment);
  }
  out.append(padding(out.size(), alignment), '\0');
  return out;
}

Result<GgufWriter> GgufWriter::create(const fs::path& path, GgufMetadata metadata, std::vector<TensorToWrite> tensors) {
  HADAL_ASSIGN(AtomicFile file, AtomicFile::create(path));
  HADAL_TRY(file.write(gguf_header(metadata, tensors, kGgufWriteAlignment)));
  return GgufWriter(std::move(file), std::move(tensors));
}

Result<void> GgufWriter::write(std::span<const std::byte> bytes) {
  HADAL_CHECK(i_tensor_ < tensors_.size(), "gguf: more bytes than tensors", bytes.size());
  const uint64_t tensor_bytes = tensors_[i_tensor_].bytes();
  written_of_tensor_ += bytes.size();
  HADAL_CHECK(written_of_tensor_ <= tensor_bytes, "gguf: more bytes than the tensor has", tensors_[i_tensor_].name);
  HADAL_TRY(file_.write(bytes));
  if (written_of_tensor_ < tensor_bytes) return {};
  ++i_tensor_;
  written_of_tensor_ = 0;
  return file_.write(std::string(padding(tensor_bytes, kGgufWriteAlignment), '\0'));
}

Result<void> GgufWriter::commit() {
  HADAL_CHECK(i_tensor_ == tensors_.size(), "gguf: tensors are missing", i_tensor_, tensors_.size());
  return file_.commit();
}

}  // namespace hadal
