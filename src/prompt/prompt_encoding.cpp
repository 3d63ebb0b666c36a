// The encodings side by side.
#include "prompt/prompt_encoding.h"

#include "base/check.h"
#include "prompt/call_syntax.h"
#include "prompt/renderers.h"
#include "prompt/v3_style.h"

namespace hadal {
namespace {

using Renderer = Result<Prompt> (*)(std::span<const Message>, const PromptOptions&);

template <const v3::Style& style>
Result<Prompt> render_style(std::span<const Message> messages, const PromptOptions& options) {
  return render_v3(messages, options, style);
}

struct Row {
  PromptEncoding encoding;
  std::string_view name;
  Renderer render;
  OutputSyntax output;
};
constexpr OutputSyntax kAnswersOnly{.calls = CallSyntax::kToolTokens, .has_reasoning = false};
constexpr OutputSyntax kToolTokens{.calls = CallSyntax::kToolTokens, .has_reasoning = true};
constexpr OutputSyntax kDsml{.calls = CallSyntax::kDsml, .has_reasoning = true};
constexpr Row kRows[] = {
    {PromptEncoding::kV3, "v3", render_style<v3::kV3>, kAnswersOnly},
    {PromptEncoding::kR1, "r1", render_style<v3::kR1>, kToolTokens},
    {PromptEncoding::kR1Release0528, "r1-0528", render_style<v3::kR1Release0528>, kToolTokens},
    {PromptEncoding::kV31, "v3.1", render_style<v3::kV31>, kToolTokens},
    {PromptEncoding::kV32, "v3.2", render_v32, kDsml},
    {PromptEncoding::kV4Preview, "v4-preview", render_v4, kDsml},
    {PromptEncoding::kV4Release0731, "v4-0731", render_v4, kDsml},
    {PromptEncoding::kV41, "v4.1", render_v4, kDsml},
};

const Row& row_of(PromptEncoding encoding) {
  for (const Row& row : kRows) {
    if (row.encoding == encoding) return row;
  }
  HADAL_CHECK(false, "an encoding without a row", static_cast<int>(encoding));
  return kRows[0];
}

}  // namespace

std::string_view prompt_encoding_name(PromptEncoding encoding) {
  return row_of(encoding).name;
}

OutputSyntax output_syntax(PromptEncoding encoding) {
  return row_of(encoding).output;
}

Result<Prompt> render_prompt(std::span<const Message> messages, const PromptOptions& options) {
  return row_of(options.encoding).render(messages, options);
}

}  // namespace hadal
