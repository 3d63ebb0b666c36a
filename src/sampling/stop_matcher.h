// Stop strings over streamed text: the text ends before the first of them to be completed.
//
// "First" means by its last byte; of several that end there the longest is cut off. That does not depend on how the
// text is split, because a byte decides with nothing but what stands before it. What may be the beginning of a stop
// string is held back until it is certain. One Knuth-Morris-Pratt automaton for each string.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hadal {

inline constexpr size_t kStopStringsMax = 16;        // what OpenAI-compatible servers accept
inline constexpr size_t kStopStringBytesMax = 1024;  // more would hold back more than a screen of text

class StopMatcher {
 public:
  // Errors: Limit (too many, too long), Invalid (empty, not UTF-8), naming the string by its index. No strings: all
  // text passes at once.
  static Result<StopMatcher> create(const std::vector<std::string>& stops);

  // Takes text and returns what became certain; empty after a match. O(bytes * number of strings).
  std::string push(std::string_view text);

  // The text has ended: returns what is held back, which belongs to it. Empty after a match.
  std::string finish();

  // Whether a stop string was completed; which one, as an index into what create() was given.
  bool has_matched() const { return matched_ >= 0; }
  int matched() const { return matched_; }

  size_t held_bytes() const { return held_.size(); }

 private:
  struct Stop {
    std::string text;
    std::vector<size_t> fallback;  // fallback[n]: the longest proper border of the first n bytes
    size_t n_matched = 0;          // how many bytes of it the text so far ends with
  };

  static void advance(Stop& stop, char byte);

  std::vector<Stop> stops_;
  std::string held_;  // always as long as the longest n_matched
  int matched_ = -1;
};

}  // namespace hadal
