#include "hub/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/json.h"

namespace hadal::hub {
namespace {

constexpr size_t kUrlBytesMax = 8192;  // signed addresses of content networks take 1 to 2 KB

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alnum(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

Error refused(std::string_view text, std::string_view why) {
  return {.code = ErrorCode::kInvalid,
          .what = "not an address that Hadal fetches from",
          .in = json::excerpt(text),
          .want = "https://HOST[:PORT][/PATH], or http:// for a server on this machine",
          .found = std::string(why),
          .hint = ""};
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_host(std::string_view host) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    const std::string_view address = host.substr(1, host.size() - 2);
    return std::all_of(address.begin(), address.end(),
                       [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || c == ':' || c == '.'; });
  }
  return !host.empty() && host.size() <= 253 && host.front() != '.' && host.front() != '-' &&
         std::all_of(host.begin(), host.end(), [](char c) { return is_alnum(c) || c == '.' || c == '-'; });
}

// 0: not a port.
int parse_port(std::string_view digits) {
  int port = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, problem] = std::from_chars(digits.data(), end, port);
  const bool is_number = problem == std::errc() && stop == end && is_digit(digits.front());
  return is_number && port >= 1 && port <= 65535 ? port : 0;
}

// 127.0.0.0/8 in its four numbers: 127.1 and 0x7f.1 are other ways to write it, and not needed.
bool is_loopback_v4(std::string_view host) {
  if (!host.starts_with("127.")) return false;
  return std::count(host.begin(), host.end(), '.') == 3 && host.back() != '.' && host.find("..") == host.npos &&
         std::all_of(host.begin(), host.end(), [](char c) { return is_digit(c) || c == '.'; });
}

}  // namespace

std::string Url::origin() const {
  const bool is_default = port == (scheme == "https" ? 443 : 80);
  return is_default ? fmt::format("{}://{}", scheme, host) : fmt::format("{}://{}:{}", scheme, host, port);
}

Result<Url> parse_url(std::string_view text) {
  if (text.size() > kUrlBytesMax) return refused(text, fmt::format("{} bytes", text.size()));
  const bool is_plain =
      std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F && c != '\\' && c != '#'; });
  if (!is_plain) return refused(text, "a space, backslash, '#', control or other character");
  const size_t colon = text.find("://");
  if (colon == text.npos) return refused(text, "no https://");
  Url url;
  url.scheme = lower(text.substr(0, colon));
  if (url.scheme != "https" && url.scheme != "http") return refused(text, url.scheme + "://");
  const std::string_view rest = text.substr(colon + 3);
  const size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view authority = rest.substr(0, authority_end);
  if (authority.find('@') != authority.npos) return refused(text, "a user name");
  const size_t bracket = authority.find(']');
  const size_t port_at = authority.find(':', bracket == authority.npos ? 0 : bracket);
  url.host = lower(authority.substr(0, port_at));
  if (!is_host(url.host)) return refused(text, "no name of a host");
  url.port = url.scheme == "https" ? 443 : 80;
  if (port_at != authority.npos) {
    const std::string_view digits = authority.substr(port_at + 1);
    url.port = digits.empty() ? 0 : parse_port(digits);
    if (url.port == 0) return refused(text, "no number of a port");
  }
  if (url.scheme == "http" && !is_loopback(url)) return refused(text, "http:// to another machine");
  url.path = rest.substr(authority_end);
  return url;
}

bool is_loopback(const Url& url) {
  return url.host == "localhost" || url.host == "[::1]" || is_loopback_v4(url.host);
}

bool is_same_origin(const Url& a, const Url& b) {
  return a.scheme == b.scheme && a.host == b.host && a.port == b.port;
}

std::string percent_encoded(std::string_view path) {
  constexpr std::string_view kKept = "-._~/";
  std::string out;
  for (const char c : path) {
    if (is_alnum(c) || kKept.find(c) != kKept.npos) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace hadal::hub
