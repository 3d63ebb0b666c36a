// Which prompt encoding a checkpoint was trained with, from what lies beside its weights.
//
//   model_type of config.json
//   deepseek_v4           v4-preview
//   deepseek_v32          v3.1 when the chat template writes V3.1's headers (V3.2-Exp), else v3.2, which comes without
//   deepseek_v3           by the chat template: `<｜Assistant｜></think>` v3.1, `<｜Assistant｜><think>` r1, another
//                         `</think>` r1-0528, none v3
//                         without one: v3 when the tokenizer has no token <think>; v3.1 when scales are powers of two;
//                         r1
//
// The chat template is looked at, never run. Sources: docs/prompt.md.
#pragma once

#include <string>
#include <string_view>

#include "prompt/prompt_encoding.h"

namespace hadal {

struct EncodingClues {
  std::string_view family;          // model_type
  std::string chat_template = {};   // of tokenizer_config.json or chat_template.jinja; empty when there is none
  bool has_rounded_scales = false;  // quantization_config.scale_fmt is ue8m0: V3.1 and later
  bool has_think_token = false;     // tokenizer.json has an added token <think>
};

PromptEncoding choose_encoding(const EncodingClues& clues);

}  // namespace hadal
