// Writes GGUF version 3: header first, then tensors one after the other as their bytes come, never all in memory.
//
// Tensors begin at multiples of 4096 bytes (general.alignment), so that an expert or a row can be read with direct I/O.
// The format is said in gguf_file.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/io.h"
#include "base/result.h"
#include "formats/gguf/gguf_types.h"
#include "formats/safetensors.h"

namespace hadal {

inline constexpr uint32_t kGgufWriteAlignment = 4096;

// Metadata, encoded as it is added. Keys must differ.
class GgufMetadata {
 public:
  void add(std::string_view key, std::string_view text);
  void add(std::string_view key, uint32_t number);
  void add(std::string_view key, float number);
  void add(std::string_view key, bool flag);
  void add(std::string_view key, std::span<const std::string> texts);
  void add(std::string_view key, std::span<const int32_t> numbers);
  void add(std::string_view key, std::span<const uint32_t> numbers);
  void add(std::string_view key, std::span<const float> numbers);

  const std::string& bytes() const { return bytes_; }
  uint64_t count() const { return count_; }

 private:
  void begin(std::string_view key, GgufType type);
  void begin_array(std::string_view key, GgufType type, uint64_t count);

  std::string bytes_;
  uint64_t count_ = 0;
};

// The header of a file with these tensors in this order, padded to where data begins. Types are GGUF's
// (gguf_id_of), names at most 63 bytes, which llama.cpp asks for, axes at most 4.
std::string gguf_header(const GgufMetadata& metadata, std::span<const TensorToWrite> tensors, uint32_t alignment);

class GgufWriter {
 public:
  // Opens PATH's partial file and writes the header. Alignment is added to the metadata. Errors: Io.
  static Result<GgufWriter> create(const fs::path& path, GgufMetadata metadata, std::vector<TensorToWrite> tensors);

  GgufWriter(GgufWriter&&) noexcept = default;
  GgufWriter& operator=(GgufWriter&&) noexcept = default;

  // The next bytes of the next tensor, in pieces of any size that end with the tensor. Errors: Io.
  Result<void> write(std::span<const std::byte> bytes);
  // All tensors have been written: renames the file into place. Errors: Io.
  Result<void> commit();

 private:
  GgufWriter(AtomicFile file, std::vector<TensorToWrite> tensors)
      : file_(std::move(file)), tensors_(std::move(tensors)) {}

  AtomicFile file_;
  std::vector<TensorToWrite> tensors_;
  size_t i_tensor_ = 0;
  uint64_t written_of_tensor_ = 0;
};

}  // namespace hadal
