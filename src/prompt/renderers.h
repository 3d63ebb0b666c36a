// The renderers behind render_prompt: one per generation of the encoding.
#pragma once

#include <span>

#include "prompt/prompt_encoding.h"

namespace hadal {

namespace v3 {
struct Style;
}

// V3, R1 and V3.1, which differ in what a table says (v3_style.h).
Result<Prompt> render_v3(std::span<const Message> messages, const PromptOptions& options, const v3::Style& style);
Result<Prompt> render_v32(std::span<const Message> messages, const PromptOptions& options);
Result<Prompt> render_v4(std::span<const Message> messages, const PromptOptions& options);

}  // namespace hadal
