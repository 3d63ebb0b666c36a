// What /set changes and /show prints: the sampling options and the limits of an answer, by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sampling/options.h"

namespace hadal {

struct ChatSettings {
  SamplingOptions sampling;
  std::optional<uint64_t> seed;  // absent: another one for each conversation
  int64_t max_tokens = -1;       // of one answer; -1: until the context is full
  std::vector<std::string> stop;
};

// Sets one value from its text. "default" gives the value that the program started with. The settings are unchanged
// when there is an error: NotFound (no such name; lists them), Invalid (not a number, out of range).
[[nodiscard]] Result<void> apply_setting(ChatSettings& settings, std::string_view name, std::string_view value,
                                         const ChatSettings& defaults, int64_t vocab_size);

// "temperature" and the others, in the order of the table.
std::vector<std::string_view> setting_names();

// One line for each setting: name, value, what it means.
std::string describe_settings(const ChatSettings& settings);

}  // namespace hadal
