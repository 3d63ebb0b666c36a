// Addresses of a hub and of where it sends us: a strict subset of RFC 3986.
//
// Whatever is unusual is refused rather than read: two programs that read one address differently are how a token
// reaches the wrong host. So there are no user names, no backslashes, no fragments and no bytes beyond printable ASCII.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace hadal::hub {

struct Url {
  std::string scheme;  // "https" or "http"
  std::string host;    // lower case; an IPv6 address in its brackets
  int port = 0;        // 443 or 80 when the address has none
  std::string path;    // with its query; begins with '/' or '?', or is empty

  std::string origin() const;  // "https://huggingface.co", the port only where it is not the scheme's
  std::string text() const { return origin() + path; }
};

// Invalid for anything but https://HOST[:PORT][/PATH][?QUERY], and http:// for the same on this machine's loopback:
// nothing is ever fetched in the clear from another one.
Result<Url> parse_url(std::string_view text);

// Whether the host is this machine: localhost, 127.0.0.0/8, [::1].
bool is_loopback(const Url& url);

// The same scheme, host and port: the only place that a token of one may be sent to.
bool is_same_origin(const Url& a, const Url& b);

// All but letters, digits and -._~/ as %XX.
std::string percent_encoded(std::string_view path);

}  // namespace hadal::hub
