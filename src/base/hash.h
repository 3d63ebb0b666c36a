// SHA-256 for identity (who is this file), SHA-1 for the names that git gives files, XXH3-128 for checksums (did these
// bytes survive).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace hadal {

using Sha256 = std::array<uint8_t, 32>;

class Sha256Hasher {
 public:
  Sha256Hasher();
  ~Sha256Hasher();
  Sha256Hasher(Sha256Hasher&&) noexcept;
  Sha256Hasher& operator=(Sha256Hasher&&) noexcept;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  Sha256 finish();  // once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Sha256 sha256(std::string_view text);

using Sha1 = std::array<uint8_t, 20>;

// The name that git gives a file of this length: SHA-1 over "blob LENGTH", a zero byte, and the file's bytes. The hub
// has no other checksum of files that it keeps in git itself; it finds accidents and is weak against a forger.
class GitBlobHasher {
 public:
  explicit GitBlobHasher(uint64_t file_bytes);
  ~GitBlobHasher();
  GitBlobHasher(GitBlobHasher&&) noexcept;
  GitBlobHasher& operator=(GitBlobHasher&&) noexcept;

  void update(std::span<const std::byte> bytes);
  Sha1 finish();  // once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string to_hex(std::span<const uint8_t> bytes);

// A checksum against accidents, not against a forger.
struct Checksum {
  uint64_t low = 0;
  uint64_t high = 0;
  friend bool operator==(const Checksum&, const Checksum&) = default;
};
Checksum checksum(std::span<const std::byte> bytes);

// The same over bytes that come in pieces.
class ChecksumHasher {
 public:
  ChecksumHasher();
  ~ChecksumHasher();
  ChecksumHasher(const ChecksumHasher&) = delete;
  ChecksumHasher& operator=(const ChecksumHasher&) = delete;

  void update(std::span<const std::byte> bytes);
  Checksum finish() const;

 private:
  void* state_;
};

}  // namespace hadal
