#include "prompt/spelled_markers.h"

#include <algorithm>

namespace hadal {

std::vector<SpelledMarkers::Piece> SpelledMarkers::push(std::string_view bytes) {
  std::vector<Piece> pieces;
  held_ += bytes;
  const std::string_view all = held_;
  size_t text_begin = 0;
  size_t at = 0;
  const auto end_text = [&] {
    if (at > text_begin) pieces.push_back({.text = std::string(all.substr(text_begin, at - text_begin))});
  };
  while (at < all.size()) {
    const std::string_view rest = all.substr(at);
    const auto begins = [&](const auto& m) { return rest.starts_with(m.first); };
    if (const auto found = std::ranges::find_if(markers_, begins); found != markers_.end()) {
      end_text();
      pieces.push_back({.text = std::string(found->first), .is_marker = true, .marker = found->second});
      text_begin = at += found->first.size();
    } else if (std::ranges::any_of(markers_, [&](const auto& m) { return m.first.starts_with(rest); })) {
      break;
    } else {
      ++at;
    }
  }
  end_text();
  held_.erase(0, at);
  return pieces;
}

}  // namespace hadal
