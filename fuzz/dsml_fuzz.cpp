// The parser of DSML (V3.2, V4) against any sequence of tokens.
//
// Input: one byte of options (bit 0: starts in reasoning, bit 1: the tool f really has a parameter `input`), then the
// output as turn_input.h reads it.
#include <cstddef>
#include <cstdint>

#include "base/json.h"
#include "prompt/dsml_parser.h"
#include "turn_input.h"

namespace {

constexpr std::string_view kTools =
    R"([{"type":"function","function":{"name":"f","parameters":{"properties":{"input":{}}}}}])";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bool starts_in_reasoning = (data[0] & 1) != 0;
  const hadal::json::Value tools = (data[0] & 2) != 0 ? *hadal::json::parse(kTools, "tools") : hadal::json::Value();
  hadal::fuzz::check_turn({reinterpret_cast<const char*>(data) + 1, size - 1}, [&](const auto& symbols) {
    return hadal::testing::parse(hadal::dsml::Parser(starts_in_reasoning, tools), symbols);
  });
  return 0;
}
