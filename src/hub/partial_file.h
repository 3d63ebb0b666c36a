// A file on its way here: NAME.part with holes, and NAME.part.blocks, which says which blocks of it are there.
//
// The journal is text: "hadal-blocks 1 BYTES BLOCK_BYTES CHECKSUM" and one line for each finished block. A block's
// bytes are on the disk before its line is written, so that neither kill -9 nor a power cut leaves a line without its
// bytes; a line that was cut short is not counted. Only a file whose checksum is right gets its name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "hub/repository.h"

namespace hadal::hub {

namespace fs = std::filesystem;

// 8 MiB: 600 lines for a shard of 4.3 GB, and what a kill costs is little beside a shard.
inline constexpr uint64_t kBlockBytes = uint64_t{8} << 20;

// Whether the file has its name and its length: it got the name only after its checksum was right.
bool is_finished(const fs::path& folder, const HubFile& file);

// Which blocks of a file are here; all of them when it is finished. Changes nothing.
std::vector<bool> blocks_here(const fs::path& folder, const HubFile& file, uint64_t block_bytes);

// Move-only; closes the files, keeps them on the disk.
class PartialFile {
 public:
  // Opens or creates both files in the folder, following no link. A journal of another file or block size is begun
  // anew. Io.
  static Result<PartialFile> open(const fs::path& folder, const HubFile& file, uint64_t block_bytes);

  PartialFile(PartialFile&& other) noexcept;
  PartialFile& operator=(PartialFile&& other) noexcept;
  ~PartialFile();

  // Any thread, at any place within the file. Io when the disk is full.
  [[nodiscard]] Result<void> write(uint64_t offset, std::span<const std::byte> bytes) const;

  // The block's bytes were written: makes them durable, then notes it. Any thread.
  [[nodiscard]] Result<void> finish_block(size_t block) const;

  // All blocks are there: compares length and checksum, and gives the file its name. Corrupt when they are not what the
  // hub promised; then both files are removed, so that a next pull begins anew. Cancelled when asked to stop.
  [[nodiscard]] Result<void> finish(const std::function<bool()>& is_cancelled);

 private:
  PartialFile() = default;
  Result<std::string> checksum(const std::function<bool()>& is_cancelled) const;

  fs::path folder_;
  HubFile file_;
  int data_ = -1;
  int journal_ = -1;
};

// What the hub said of the file: its SHA-256, or git's SHA-1. Hex.
const std::string& expected_checksum(const HubFile& file);

// The checksum of bytes that are at hand, of the kind that the file has.
std::string checksum_of(const HubFile& file, std::string_view bytes);

// Makes a rename or a new name in the folder durable.
void sync_folder(const fs::path& folder);

}  // namespace hadal::hub
