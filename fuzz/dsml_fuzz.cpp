// The output parser against any sequence of tokens.
//
// Input: one byte of options (bit 0: starts in reasoning, bit 1: the tool f really has a parameter `input`), then the
// output. 0x01 to 0x06 are the markers of testing/transcripts.h in their order, 0x00 is a border between two tokens,
// any other byte is text. So a corpus file reads as a transcript.
//
// Checked: the events keep their promises (testing/transcripts.h), where the tokens are cut changes nothing, and no
// markup shows in reasoning or content.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/json.h"
#include "testing/transcripts.h"

namespace {

using hadal::dsml::testing::joined;
using hadal::dsml::testing::Outcome;
using hadal::dsml::testing::Symbol;

constexpr std::string_view kTools =
    R"([{"type":"function","function":{"name":"f","parameters":{"properties":{"input":{}}}}}])";

std::vector<Symbol> symbols_of(std::string_view bytes, bool keep_borders) {
  const auto& markers = hadal::dsml::testing::kMarkers;
  std::vector<Symbol> symbols;
  bool is_border = true;
  for (const char c : bytes) {
    const auto code = static_cast<unsigned char>(c);
    if (code == 0) {
      is_border = is_border || keep_borders;
    } else if (code <= markers.size()) {
      const auto& [spelling, marker] = markers[code - 1];
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

bool holds(std::string_view text, std::string_view word) {
  return text.find(word) != std::string_view::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool starts_in_reasoning = (data[0] & 1) != 0;
  const hadal::json::Value tools = (data[0] & 2) != 0 ? *hadal::json::parse(kTools, "tools") : hadal::json::Value();

  const Outcome whole = parse(symbols_of(bytes, /*keep_borders=*/false), starts_in_reasoning, tools);
  const Outcome pieces = parse(symbols_of(bytes, /*keep_borders=*/true), starts_in_reasoning, tools);
  for (const Outcome* outcome : {&whole, &pieces}) {
    const std::string problem = violation(*outcome);
    HADAL_CHECK(problem.empty(), problem);
    const std::string shown = outcome->message.reasoning_content + "\n" + outcome->message.text();
    // Asked by letter, because what stands around a marker may join to its spelling.
    HADAL_CHECK(holds(bytes, "D") || !holds(shown, "D"), "the marker of the tool markup leaked");
    HADAL_CHECK(holds(bytes, "k") || !holds(shown, "k"), "the marker of thinking leaked");
  }
  HADAL_CHECK(whole.message == pieces.message, "the message depends on the borders of tokens");
  HADAL_CHECK(joined(whole.events) == joined(pieces.events), "the events depend on the borders of tokens");
  return 0;
}
