// GET over HTTP, as careful as a stranger's server asks for: https only (http on loopback), few redirects, a token that
// stays with its host, deadlines for connecting and for silence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "hub/url.h"

namespace hadal::hub {

struct HttpOptions {
  Url token_origin;   // the token goes to this origin and to no other
  std::string token;  // empty: none
  int connect_seconds_max = 30;
  int silent_seconds_max = 30;  // less than 1 KiB a second for so long: the connection is given up
  std::function<bool()> is_cancelled = [] { return false; };
};

// "Content-Range: bytes 0-1023/4096"
struct ContentRange {
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t total = 0;
  friend bool operator==(const ContentRange&, const ContentRange&) = default;
};
std::optional<ContentRange> parse_content_range(std::string_view text);

// Digits and nothing else.
std::optional<uint64_t> parse_content_length(std::string_view text);

// Seconds; a date is not understood. Nothing when it is neither.
std::optional<int64_t> parse_retry_after(std::string_view text);

struct HttpAnswer {
  int status = 0;  // 0: there was none
  std::optional<ContentRange> range;
  std::optional<uint64_t> length_bytes;
  std::optional<int64_t> retry_after_s;
  std::string error_code;  // X-Error-Code of a hub: "RepoNotFound", "GatedRepo", ...
};

// Who takes the body of an answer with status 200 or 206. Bodies of others are thrown away.
class HttpReceiver {
 public:
  virtual ~HttpReceiver() = default;
  // Called before the first byte. False ends the transfer, which then is kStopped.
  virtual bool begin(const HttpAnswer& answer) = 0;
  virtual bool take(std::span<const std::byte> bytes) = 0;
};

struct HttpRange {
  uint64_t first = 0;
  uint64_t last = 0;  // inclusive, as in the header
};

struct HttpOutcome {
  enum class End { kComplete, kStopped, kFailed };
  End end = End::kFailed;
  HttpAnswer answer;           // the last one
  std::optional<Error> error;  // of a kFailed transfer: the connection's, not the status's
  bool is_transient = false;   // whether another try may help
};

// One connection that is kept between calls. One thread at a time.
class HttpClient {
 public:
  // NotFound when libcurl is not installed.
  static Result<HttpClient> create(const HttpOptions& options);

  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;
  ~HttpClient();

  HttpOutcome get(const Url& url, std::optional<HttpRange> range, HttpReceiver& receiver);

 private:
  struct Impl;
  explicit HttpClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal::hub
