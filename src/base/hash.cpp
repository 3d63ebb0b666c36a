#include "base/hash.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <xxhash.h>

#include "base/check.h"

namespace hadal {

struct Sha256Hasher::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256Hasher::Sha256Hasher() : state_(std::make_unique<State>()) {
  HADAL_CHECK(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1, "SHA-256 is not available");
}
Sha256Hasher::~Sha256Hasher() = default;
Sha256Hasher::Sha256Hasher(Sha256Hasher&&) noexcept = default;
Sha256Hasher& Sha256Hasher::operator=(Sha256Hasher&&) noexcept = default;

void Sha256Hasher::update(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
}

void Sha256Hasher::update(std::string_view text) {
  EVP_DigestUpdate(state_->context, text.data(), text.size());
}

Sha256 Sha256Hasher::finish() {
  Sha256 digest{};
  EVP_DigestFinal_ex(state_->context, digest.data(), nullptr);
  return digest;
}

Sha256 sha256(std::string_view text) {
  Sha256Hasher hasher;
  hasher.update(text);
  return hasher.finish();
}

struct GitBlobHasher::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

GitBlobHasher::GitBlobHasher(uint64_t file_bytes) : state_(std::make_unique<State>()) {
  HADAL_CHECK(EVP_DigestInit_ex(state_->context, EVP_sha1(), nullptr) == 1, "SHA-1 is not available");
  const std::string header = fmt::format("blob {}", file_bytes);
  EVP_DigestUpdate(state_->context, header.c_str(), header.size() + 1);  // with its zero byte
}
GitBlobHasher::~GitBlobHasher() = default;
GitBlobHasher::GitBlobHasher(GitBlobHasher&&) noexcept = default;
GitBlobHasher& GitBlobHasher::operator=(GitBlobHasher&&) noexcept = default;

void GitBlobHasher::update(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
}

Sha1 GitBlobHasher::finish() {
  Sha1 digest{};
  EVP_DigestFinal_ex(state_->context, digest.data(), nullptr);
  return digest;
}

std::string to_hex(std::span<const uint8_t> bytes) {
  std::string out;
  for (const uint8_t byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

Checksum checksum(std::span<const std::byte> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}

ChecksumHasher::ChecksumHasher() : state_(XXH3_createState()) {
  HADAL_CHECK(state_ != nullptr, "no memory for a checksum");
  XXH3_128bits_reset(static_cast<XXH3_state_t*>(state_));
}

ChecksumHasher::~ChecksumHasher() {
  XXH3_freeState(static_cast<XXH3_state_t*>(state_));
}

void ChecksumHasher::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(static_cast<XXH3_state_t*>(state_), bytes.data(), bytes.size());
}

Checksum ChecksumHasher::finish() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(static_cast<XXH3_state_t*>(state_));
  return {hash.low64, hash.high64};
}

}  // namespace hadal
