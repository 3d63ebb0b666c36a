#include "hub/http_client.h"

#include <fmt/format.h>

#include <algorithm>

#include "hub/curl_library.h"

namespace hadal::hub {
namespace {

// A hub's own redirect, then one or two of its content network.
constexpr int kRedirectsMax = 5;
// What a server may send along with an error or a redirect before we stop listening.
constexpr uint64_t kIgnoredBytesMax = 64 << 10;
constexpr uint64_t kHeaderBytesMax = 256 << 10;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && std::string_view(" \t\r\n").find(text.back()) != std::string_view::npos)
    text.remove_suffix(1);
  return text;
}

// One request and its answer, as libcurl's callbacks see it.
struct Transfer {
  const HttpOptions* options = nullptr;
  HttpReceiver* receiver = nullptr;
  HttpAnswer answer;
  uint64_t header_bytes = 0;
  uint64_t ignored_bytes = 0;
  bool has_begun = false;
  bool is_stopped = false;  // by the receiver, or because what came was not worth listening to

  bool has_body() const { return answer.status == 200 || answer.status == 206; }
  bool begin() {
    if (!has_begun) {
      has_begun = true;
      is_stopped = !receiver->begin(answer);
    }
    return !is_stopped;
  }
};

size_t on_header(char* data, size_t size, size_t n, void* user) {
  Transfer& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(data, size * n);
  transfer.header_bytes += line.size();
  if (transfer.header_bytes > kHeaderBytesMax) return 0;
  if (line.starts_with("HTTP/")) {
    transfer.answer = {};  // of the answer before: "100 Continue", a proxy's
    const size_t space = line.find(' ');
    if (space != line.npos) transfer.answer.status = std::atoi(std::string(line.substr(space + 1, 3)).c_str());
    return line.size();
  }
  const size_t colon = line.find(':');
  if (colon == line.npos) return line.size();
  const std::string name = lower(line.substr(0, colon));
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (name == "content-range") transfer.answer.range = parse_content_range(value);
  if (name == "retry-after") transfer.answer.retry_after_s = parse_retry_after(value);
  if (name == "x-error-code") transfer.answer.error_code = value.substr(0, 64);
  if (name == "content-length") transfer.answer.length_bytes = parse_content_length(value);
  return line.size();
}

size_t on_body(char* data, size_t size, size_t n, void* user) {
  Transfer& transfer = *static_cast<Transfer*>(user);
  const size_t bytes = size * n;
  if (!transfer.has_body()) {
    transfer.ignored_bytes += bytes;
    return transfer.ignored_bytes > kIgnoredBytesMax ? 0 : bytes;
  }
  if (!transfer.begin()) return 0;
  if (transfer.receiver->take(std::as_bytes(std::span(data, bytes)))) return bytes;
  transfer.is_stopped = true;
  return 0;
}

// libcurl calls this about once a second, and whenever something arrives.
int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Transfer*>(user)->options->is_cancelled() ? 1 : 0;
}

// What a person can do about it; empty where libcurl's words are enough.
std::string hint_for(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return "is this machine online, and the hub's name right (--hub)?";
    case CURLE_COULDNT_CONNECT:
      return "is a proxy needed (https_proxy), or another hub (--hub)?";
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return "the server's certificate is not trusted here: is ca-certificates installed, and the clock right?";
    default:
      return "";
  }
}

bool is_transient(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
      return true;
    default:
      return false;
  }
}

Error refused(std::string what, std::string in, std::string found) {
  return {.code = ErrorCode::kInvalid,
          .what = std::move(what),
          .in = std::move(in),
          .want = "",
          .found = std::move(found),
          .hint = ""};
}

}  // namespace

struct HttpClient::Impl {
  const CurlLibrary* curl = nullptr;
  HttpOptions options;
  CURL* easy = nullptr;

  ~Impl() {
    if (easy != nullptr) curl->easy_cleanup(easy);
  }

  template <class Value>
  void set(CURLoption option, Value value) {
    curl->easy_setopt(easy, option, value);
  }

  // Everything but the address.
  void prepare(Transfer& transfer, const Url& url, std::optional<HttpRange> range) {
    curl->easy_reset(easy);  // keeps the connection
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_USERAGENT, "hadal");
    set(CURLOPT_FOLLOWLOCATION, 0L);  // each hop is looked at first
    set(CURLOPT_PROTOCOLS_STR, url.scheme.c_str());
    set(CURLOPT_HTTP_VERSION,
        static_cast<long>(CURL_HTTP_VERSION_1_1));  // one connection a range: more of them, not streams
    set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(options.connect_seconds_max));
    set(CURLOPT_LOW_SPEED_LIMIT, 1024L);
    set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(options.silent_seconds_max));
    set(CURLOPT_BUFFERSIZE, 256L << 10);
    if (is_loopback(url)) set(CURLOPT_PROXY, "");  // a proxy has another loopback
    set(CURLOPT_HEADERFUNCTION, on_header);
    set(CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
    set(CURLOPT_WRITEFUNCTION, on_body);
    set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
    set(CURLOPT_XFERINFOFUNCTION, on_progress);
    set(CURLOPT_XFERINFODATA, static_cast<void*>(&transfer));
    set(CURLOPT_NOPROGRESS, 0L);
    if (range) set(CURLOPT_RANGE, fmt::format("{}-{}", range->first, range->last).c_str());
  }

  HttpOutcome finish(CURLcode code, Transfer& transfer, const Url& url) {
    HttpOutcome outcome;
    outcome.answer = transfer.answer;
    if (transfer.is_stopped || code == CURLE_ABORTED_BY_CALLBACK) {
      outcome.end = HttpOutcome::End::kStopped;
    } else if (code == CURLE_OK || (!transfer.has_body() && transfer.ignored_bytes > kIgnoredBytesMax)) {
      outcome.end = HttpOutcome::End::kComplete;
      // An empty file has no bytes to begin with.
      if (transfer.has_body() && !transfer.begin()) outcome.end = HttpOutcome::End::kStopped;
    } else {
      outcome.is_transient = is_transient(code);
      outcome.error = Error{.code = ErrorCode::kIo,
                            .what = "cannot fetch from the hub",
                            .in = url.origin(),
                            .want = "",
                            .found = curl->easy_strerror(code),
                            .hint = hint_for(code)};
    }
    return outcome;
  }

  HttpOutcome get_once(const Url& url, std::optional<HttpRange> range, HttpReceiver& receiver, std::string& next) {
    Transfer transfer;
    transfer.options = &options;
    transfer.receiver = &receiver;
    prepare(transfer, url, range);
    const std::string text = url.text();
    set(CURLOPT_URL, text.c_str());
    curl_slist* headers = nullptr;
    if (!options.token.empty() && is_same_origin(url, options.token_origin)) {
      headers = curl->slist_append(nullptr, ("Authorization: Bearer " + options.token).c_str());
      set(CURLOPT_HTTPHEADER, headers);
    }
    const CURLcode code = curl->easy_perform(easy);
    curl->slist_free_all(headers);
    const char* location = nullptr;
    curl->easy_getinfo(easy, CURLINFO_REDIRECT_URL, &location);  // made absolute
    next = location == nullptr ? "" : location;
    return finish(code, transfer, url);
  }
};

HttpClient::HttpClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

Result<HttpClient> HttpClient::create(const HttpOptions& options) {
  auto impl = std::make_unique<Impl>();
  HADAL_ASSIGN(impl->curl, CurlLibrary::open());
  impl->options = options;
  impl->easy = impl->curl->easy_init();
  if (impl->easy == nullptr) {
    return Error{.code = ErrorCode::kOutOfMemory,
                 .what = "cannot open a connection",
                 .in = "libcurl",
                 .want = "",
                 .found = "no memory",
                 .hint = ""};
  }
  return HttpClient(std::move(impl));
}

HttpOutcome HttpClient::get(const Url& url, std::optional<HttpRange> range, HttpReceiver& receiver) {
  Url at = url;
  for (int hop = 0; hop <= kRedirectsMax; ++hop) {
    std::string next;
    HttpOutcome outcome = impl_->get_once(at, range, receiver, next);
    if (outcome.end != HttpOutcome::End::kComplete || !is_redirect(outcome.answer.status)) return outcome;
    Result<Url> target = parse_url(next);
    if (!target.ok()) {
      outcome.end = HttpOutcome::End::kFailed;
      outcome.error = refused("the hub sends us to an address that Hadal refuses", at.origin(), target.error().found);
      return outcome;
    }
    at = std::move(target).value();
  }
  HttpOutcome outcome;
  outcome.error = refused("the hub sends us from place to place", url.origin(),
                          fmt::format("more than {} redirects", kRedirectsMax));
  return outcome;
}

}  // namespace hadal::hub
