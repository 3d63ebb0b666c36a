// JSON text from strangers (configs, tokenizers, tool calls): parsing never crashes, and what was parsed reads back as
// the same value from each form that we write.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = hadal::json::parse(text, "fuzz");
  if (!value.ok()) return 0;
  for (const auto& written : {hadal::json::dump(*value), hadal::json::dump_pretty(*value)}) {
    const auto again = hadal::json::parse(written, "fuzz");
    HADAL_CHECK(again.ok() && *again == *value, "reads back as another value:", written);
  }
  return 0;
}
