// Finds markers that a tokenizer has no token for, by their characters, in text that arrives in pieces.
//
// Every release has tokens for what its models write; a tokenizer of an earlier one, or a converted one, may lack
// <think>, </think> or ｜DSML｜. Then their characters are all there is: look-alikes in text cannot be told from them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "prompt/markers.h"

namespace hadal {

class SpelledMarkers {
 public:
  // A piece of text, or a marker.
  struct Piece {
    std::string text;  // of a marker its spelling
    bool is_marker = false;
    Marker marker = Marker::kOther;
  };

  // The spelling must outlive the object. No spelling may hold another one.
  void add(std::string_view spelling, Marker marker) { markers_.emplace_back(spelling, marker); }
  bool is_empty() const { return markers_.empty(); }

  // What became certain with these bytes: text that may go on to a spelling is held back.
  std::vector<Piece> push(std::string_view bytes);
  // What is held back, as text.
  std::string finish() { return std::exchange(held_, {}); }

 private:
  std::vector<std::pair<std::string_view, Marker>> markers_;
  std::string held_;
};

}  // namespace hadal
