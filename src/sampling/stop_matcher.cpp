#include "sampling/stop_matcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/utf8.h"

namespace hadal {
namespace {

Result<void> check_stop(std::string_view stop, size_t index) {
  Error error{.code = ErrorCode::kInvalid,
              .what = "",
              .in = fmt::format("stop[{}]", index),
              .want = "",
              .found = "",
              .hint = ""};
  if (stop.empty()) {
    error.what = "stop string is empty";
    error.want = "at least one character";
    return error;
  }
  if (stop.size() > kStopStringBytesMax) {
    error.code = ErrorCode::kLimit;
    error.what = "stop string is too long";
    error.want = fmt::format("at most {} bytes", kStopStringBytesMax);
    error.found = fmt::format("{} bytes", stop.size());
    return error;
  }
  if (!utf8::is_valid(stop)) {
    error.what = "stop string is not UTF-8";
    return error;
  }
  return {};
}

std::vector<size_t> borders(std::string_view text) {
  std::vector<size_t> border(text.size() + 1, 0);
  for (size_t n = 2; n <= text.size(); ++n) {
    size_t k = border[n - 1];
    while (k > 0 && text[k] != text[n - 1]) k = border[k];
    border[n] = text[k] == text[n - 1] ? k + 1 : 0;
  }
  return border;
}

}  // namespace

Result<StopMatcher> StopMatcher::create(const std::vector<std::string>& stops) {
  if (stops.size() > kStopStringsMax) {
    return Error{.code = ErrorCode::kLimit,
                 .what = "too many stop strings",
                 .in = "stop",
                 .want = fmt::format("at most {}", kStopStringsMax),
                 .found = fmt::format("{}", stops.size()),
                 .hint = ""};
  }
  StopMatcher matcher;
  for (size_t i = 0; i < stops.size(); ++i) {
    HADAL_TRY(check_stop(stops[i], i));
    matcher.stops_.push_back({.text = stops[i], .fallback = borders(stops[i]), .n_matched = 0});
  }
  return matcher;
}

void StopMatcher::advance(Stop& stop, char byte) {
  size_t n = stop.n_matched;
  while (n > 0 && stop.text[n] != byte) n = stop.fallback[n];
  stop.n_matched = stop.text[n] == byte ? n + 1 : 0;
}

std::string StopMatcher::push(std::string_view text) {
  if (has_matched()) return {};
  if (stops_.empty()) return std::string(text);
  std::string certain;
  for (const char byte : text) {
    held_ += byte;
    size_t n_held = 0;
    for (size_t i = 0; i < stops_.size(); ++i) {
      Stop& stop = stops_[i];
      advance(stop, byte);
      n_held = std::max(n_held, stop.n_matched);
      const bool is_complete = stop.n_matched == stop.text.size();
      const bool is_longest = matched_ < 0 || stop.text.size() > stops_[static_cast<size_t>(matched_)].text.size();
      if (is_complete && is_longest) matched_ = static_cast<int>(i);
    }
    const size_t n_cut = has_matched() ? stops_[static_cast<size_t>(matched_)].text.size() : n_held;
    certain.append(held_, 0, held_.size() - n_cut);
    held_.erase(0, held_.size() - n_cut);
    if (has_matched()) {
      held_.clear();
      return certain;
    }
  }
  return certain;
}

std::string StopMatcher::finish() {
  for (Stop& stop : stops_) stop.n_matched = 0;
  return std::exchange(held_, {});
}

}  // namespace hadal
