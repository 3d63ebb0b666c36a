// Values of HTTP headers, read strictly: RFC 9110, sections 8.6 (Content-Length), 10.2.3 (Retry-After) and 14.4
// (Content-Range).
#include <charconv>

#include "hub/http_client.h"

namespace hadal::hub {
namespace {

// Takes digits off the front.
std::optional<uint64_t> take_number(std::string_view& text) {
  uint64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::optional<ContentRange> parse_content_range(std::string_view text) {
  if (!take(text, "bytes ")) return std::nullopt;
  const auto first = take_number(text);
  if (!first || !take(text, "-")) return std::nullopt;
  const auto last = take_number(text);
  if (!last || !take(text, "/")) return std::nullopt;
  const auto total = take_number(text);
  if (!total || !text.empty() || *first > *last || *last >= *total) return std::nullopt;
  return ContentRange{.first = *first, .last = *last, .total = *total};
}

std::optional<uint64_t> parse_content_length(std::string_view text) {
  const auto length = take_number(text);
  return text.empty() ? length : std::nullopt;
}

std::optional<int64_t> parse_retry_after(std::string_view text) {
  const auto seconds = take_number(text);
  constexpr uint64_t kSecondsMax = uint64_t{1} << 31;
  if (!seconds || !text.empty() || *seconds > kSecondsMax) return std::nullopt;
  return static_cast<int64_t>(*seconds);
}

}  // namespace hadal::hub
