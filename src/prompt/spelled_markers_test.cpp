#include "prompt/spelled_markers.h"

#include <gtest/gtest.h>

namespace hadal {
namespace {

SpelledMarkers thinking() {
  SpelledMarkers markers;
  markers.add(marker::kThink, Marker::kThink);
  markers.add(marker::kEndThink, Marker::kEndThink);
  return markers;
}

// Markers in brackets.
std::string shown(const std::vector<SpelledMarkers::Piece>& pieces) {
  std::string text;
  for (const SpelledMarkers::Piece& piece : pieces) text += piece.is_marker ? "[" + piece.text + "]" : piece.text;
  return text;
}

TEST(SpelledMarkers, are_found_wherever_the_text_is_cut) {
  const std::string text = "<think>a<<think></think>é</thin</think><th";
  const std::string wanted = "[<think>]a<[<think>][</think>]é</thin[</think>]<th";
  for (size_t first = 0; first <= text.size(); ++first) {
    for (size_t second = first; second <= text.size(); ++second) {
      SpelledMarkers markers = thinking();
      std::string found = shown(markers.push(std::string_view(text).substr(0, first)));
      found += shown(markers.push(std::string_view(text).substr(first, second - first)));
      found += shown(markers.push(std::string_view(text).substr(second)));
      EXPECT_EQ(found + markers.finish(), wanted) << first << " " << second;
    }
  }
}

TEST(SpelledMarkers, only_what_may_become_a_marker_is_held_back) {
  SpelledMarkers markers = thinking();
  EXPECT_EQ(shown(markers.push("2 < 3 <")), "2 < 3 ");
  EXPECT_EQ(shown(markers.push("thin")), "");
  EXPECT_EQ(shown(markers.push("g")), "<thing");
  EXPECT_EQ(markers.finish(), "");
}

}  // namespace
}  // namespace hadal
