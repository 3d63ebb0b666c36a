// What the fuzz targets of the output parsers share: how bytes read as a transcript, and what must hold for any of
// them.
//
// 0x01 to 0x06 and 0x0E to 0x13 are the markers of testing/transcripts.h in their order, 0x00 is a border between two
// tokens, any other byte is text. So a corpus file reads as a transcript.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "testing/transcripts.h"

namespace hadal::fuzz {

// The codes leave out \t, \n and \r, which transcripts are full of.
inline size_t marker_of(unsigned char code) {
  constexpr size_t kNone = static_cast<size_t>(-1);
  if (code >= 0x01 && code <= 0x06) return code - 0x01u;
  if (code >= 0x0E && code <= 0x13) return code - 0x0Eu + 6;
  return kNone;
}

inline std::vector<testing::Symbol> symbols_of(std::string_view bytes, bool keep_borders) {
  std::vector<testing::Symbol> symbols;
  bool is_border = true;
  for (const char c : bytes) {
    const auto code = static_cast<unsigned char>(c);
    if (code == 0) {
      is_border = is_border || keep_borders;
    } else if (marker_of(code) < testing::kMarkers.size()) {
      const auto& [spelling, marker] = testing::kMarkers[marker_of(code)];
      symbols.push_back({.is_marker = true, .marker = marker, .bytes = std::string(spelling)});
      is_border = true;
    } else {
      if (is_border) symbols.push_back({});
      symbols.back().bytes += c;
      is_border = false;
    }
  }
  return symbols;
}

// The output without its markers and borders, which may lie inside a character.
inline std::string text_of(std::string_view bytes) {
  std::string text;
  for (const auto& symbol : symbols_of(bytes, /*keep_borders=*/false)) {
    if (!symbol.is_marker) text += symbol.bytes;
  }
  return text;
}

inline bool holds(std::string_view text, std::string_view word) {
  return text.find(word) != std::string_view::npos;
}

// The events keep their promises (testing/transcripts.h), where the tokens are cut changes nothing, and no marker shows
// in reasoning or content. parse: symbols to Outcome.
template <class Parse>
void check_turn(std::string_view bytes, const Parse& parse) {
  const testing::Outcome whole = parse(symbols_of(bytes, /*keep_borders=*/false));
  const testing::Outcome pieces = parse(symbols_of(bytes, /*keep_borders=*/true));
  const std::string text = text_of(bytes);
  for (const testing::Outcome* outcome : {&whole, &pieces}) {
    const std::string problem = testing::violation(*outcome);
    HADAL_CHECK(problem.empty(), problem);
    const std::string shown = outcome->message.reasoning_content + "\n" + outcome->message.text();
    // Asked by letter, because what stands around a marker may join to its spelling.
    HADAL_CHECK(holds(text, "D") || !holds(shown, "D"), "the marker of the tool markup leaked");
    HADAL_CHECK(holds(text, "k") || !holds(shown, "k"), "the marker of thinking leaked");
    HADAL_CHECK(holds(text, "▁") || !holds(shown, "▁"), "a marker of the tool frame leaked");
  }
  HADAL_CHECK(whole.message == pieces.message, "the message depends on the borders of tokens");
  HADAL_CHECK(testing::joined(whole.events) == testing::joined(pieces.events),
              "the events depend on the borders of tokens");
}

}  // namespace hadal::fuzz
