#include "server/keys.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "base/io.h"

namespace hadal::server {
namespace {

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<Sha256> parse_hash(std::string_view hex) {
  Sha256 hash = {};
  if (hex.size() != 2 * hash.size()) return std::nullopt;
  for (size_t i = 0; i < hash.size(); ++i) {
    const char* const digits = hex.data() + 2 * i;
    if (std::from_chars(digits, digits + 2, hash[i], 16).ptr != digits + 2) return std::nullopt;
  }
  return hash;
}

std::optional<Priority> parse_class(std::string_view name) {
  if (name == "interactive") return Priority::kInteractive;
  if (name == "normal" || name.empty()) return Priority::kNormal;
  if (name == "batch") return Priority::kBatch;
  return std::nullopt;
}

std::optional<double> parse_rate(std::string_view text) {
  double rate = 0;
  if (text.empty()) return rate;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), rate);
  if (parsed.ptr != text.data() + text.size() || !(rate >= 0)) return std::nullopt;
  return rate;
}

std::optional<Key> parse_line(std::string_view line) {
  const std::vector<std::string_view> parts = split(line, ':');
  if (parts.size() < 2 || parts.size() > 5 || parts[0].empty()) return std::nullopt;
  const auto part = [&](size_t i) { return i < parts.size() ? parts[i] : std::string_view(); };
  const auto hash = parse_hash(parts[1]);
  const auto priority = parse_class(part(2));
  const auto requests = parse_rate(part(3)), tokens = parse_rate(part(4));
  if (!hash || !priority || !requests || !tokens) return std::nullopt;
  return Key{.name = std::string(parts[0]),
             .hash = *hash,
             .priority = *priority,
             .requests_per_minute = *requests,
             .tokens_per_minute = *tokens};
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool equals_ignoring_case(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() && std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) {
           return (x >= 'A' && x <= 'Z' ? x + 'a' - 'A' : x) == y;
         });
}

}  // namespace

Result<KeyRing> KeyRing::read(const std::string& file) {
  struct stat info = {};
  if (::stat(file.c_str(), &info) == 0 && (info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "others may read the file of keys",
                 .in = file,
                 .want = "mode 0600",
                 .found = fmt::format("mode {:04o}", info.st_mode & 07777),
                 .hint = fmt::format("chmod 600 {}", file)};
  }
  HADAL_ASSIGN(const std::string text, read_file(file, 1 << 20));
  KeyRing ring;
  size_t n_line = 0;
  for (const std::string_view whole : split(text, '\n')) {
    ++n_line;
    const std::string_view line = trimmed(whole.substr(0, whole.find('#')));
    if (line.empty()) continue;
    const std::optional<Key> key = parse_line(line);
    if (!key) {
      return Error{.code = ErrorCode::kCorrupt,
                   .what = "the line is no key",
                   .in = fmt::format("{}, line {}", file, n_line),
                   .want = "name:SHA-256 in hex[:interactive|normal|batch[:requests a minute[:tokens a minute]]]",
                   .found = "",
                   .hint = "printf %s KEY | sha256sum gives the second part"};
    }
    ring.keys_.push_back(*key);
  }
  if (ring.keys_.empty()) {
    return Error{
        .code = ErrorCode::kInvalid, .what = "the file has no key", .in = file, .want = "", .found = "", .hint = ""};
  }
  return ring;
}

KeyRing KeyRing::of(std::string_view key) {
  KeyRing ring;
  ring.keys_.push_back({.name = "default", .hash = sha256(key)});
  return ring;
}

const Key* KeyRing::find(std::string_view authorization, std::string_view x_api_key) const {
  if (keys_.empty()) return &local_;
  constexpr std::string_view kBearer = "bearer ";
  std::string_view given = x_api_key;
  if (equals_ignoring_case(authorization.substr(0, kBearer.size()), kBearer))
    given = authorization.substr(kBearer.size());
  const Sha256 hash = sha256(given);
  const Key* found = nullptr;
  for (const Key& key : keys_) {
    if (CRYPTO_memcmp(key.hash.data(), hash.data(), hash.size()) == 0) found = &key;
  }
  return found;
}

std::optional<double> RateLimits::take(const Key& key, double tokens, double now_s) {
  const std::lock_guard lock(mutex_);
  const auto [entry, is_new] = buckets_.try_emplace(key.name);
  Bucket& bucket = entry->second;
  if (is_new) bucket = {key.requests_per_minute, key.tokens_per_minute, now_s};
  const double minutes = std::max(0.0, now_s - bucket.at_s) / 60;
  bucket.requests = std::min(key.requests_per_minute, bucket.requests + minutes * key.requests_per_minute);
  bucket.tokens = std::min(key.tokens_per_minute, bucket.tokens + minutes * key.tokens_per_minute);
  bucket.at_s = std::max(bucket.at_s, now_s);
  double wait_s = 0;
  if (key.requests_per_minute > 0 && bucket.requests < 1) wait_s = (1 - bucket.requests) * 60 / key.requests_per_minute;
  // A request of more than a minute's tokens goes when the bucket is full, and leaves a debt.
  const double needed = std::min(tokens, key.tokens_per_minute);
  if (key.tokens_per_minute > 0 && bucket.tokens < needed) {
    wait_s = std::max(wait_s, (needed - bucket.tokens) * 60 / key.tokens_per_minute);
  }
  if (wait_s > 0) return wait_s;
  bucket.requests -= 1;
  bucket.tokens -= tokens;
  return std::nullopt;
}

}  // namespace hadal::server
