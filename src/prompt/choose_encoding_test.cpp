#include "prompt/choose_encoding.h"

#include <gtest/gtest.h>

namespace hadal {
namespace {

// The telling parts of the releases' chat templates.
constexpr const char* kV3Template = "{{'<｜User｜>' + message['content'] + '<｜Assistant｜>'}}";
constexpr const char* kR1Template =
    "{% set content = content.split('</think>')[-1] %}{{'<｜Assistant｜>' + content}}{{'<｜Assistant｜><think>\\n'}}";
constexpr const char* kR1Of0528Template =
    "{{'<｜User｜>' + content + '<｜Assistant｜>'}}{% set content = content.split('</think>')[-1] %}";
constexpr const char* kV31Template =
    "{{'<｜Assistant｜></think>'}}{% if thinking %}{{'<think>'}}{% else %}{{'</think>'}}{% endif %}";

TEST(ChooseEncoding, by_family_template_token_and_scales) {
  struct Row {
    EncodingClues clues;
    PromptEncoding encoding;
  };
  const Row rows[] = {
      {{.family = "deepseek_v4"}, PromptEncoding::kV4Preview},
      {{.family = "deepseek_v41"}, PromptEncoding::kV41},
      {{.family = "deepseek_v32"}, PromptEncoding::kV32},
      {{.family = "deepseek_v32", .chat_template = kV31Template}, PromptEncoding::kV31},
      {{.family = "deepseek_v32", .chat_template = "{{ dsml_token }}</think>"}, PromptEncoding::kV32},
      {{.family = "deepseek_v3", .chat_template = kV3Template, .has_think_token = true}, PromptEncoding::kV3},
      {{.family = "deepseek_v3", .chat_template = kR1Template}, PromptEncoding::kR1},
      {{.family = "deepseek_v3", .chat_template = kR1Of0528Template}, PromptEncoding::kR1Release0528},
      {{.family = "deepseek_v3", .chat_template = kV31Template}, PromptEncoding::kV31},
      {{.family = "deepseek_v3"}, PromptEncoding::kV3},
      {{.family = "deepseek_v3", .has_rounded_scales = true}, PromptEncoding::kV3},
      {{.family = "deepseek_v3", .has_think_token = true}, PromptEncoding::kR1},
      {{.family = "deepseek_v3", .has_rounded_scales = true, .has_think_token = true}, PromptEncoding::kV31},
      {{.family = "deepseek_v41"}, PromptEncoding::kV41},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(prompt_encoding_name(choose_encoding(row.clues)), prompt_encoding_name(row.encoding))
        << row.clues.family << " " << row.clues.chat_template;
  }
}

}  // namespace
}  // namespace hadal
