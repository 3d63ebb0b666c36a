// The parser of V3's, R1's and V3.1's output against any sequence of tokens.
//
// Input: one byte of options (bit 0: starts in reasoning), then the output as turn_input.h reads it.
#include <cstddef>
#include <cstdint>

#include "prompt/tool_token_parser.h"
#include "turn_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bool starts_in_reasoning = (data[0] & 1) != 0;
  hadal::fuzz::check_turn({reinterpret_cast<const char*>(data) + 1, size - 1}, [&](const auto& symbols) {
    return hadal::testing::parse(hadal::tool_tokens::Parser(starts_in_reasoning), symbols);
  });
  return 0;
}
