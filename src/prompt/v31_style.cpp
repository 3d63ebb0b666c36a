// V3.1's table: reasoning when asked for, one line for a call, results without a frame and answered without a header.
#include "prompt/v3_style.h"

namespace hadal::v3 {

const Style kV31 = {
    .reasoning = Reasoning::kAsked,
    .asks_for_answer = "</think>",
    .asks_for_reasoning = "<think>",
    .past_answer = "</think>",
    .only_users_get_headers = true,
    .asks_behind_answer = false,
    .drops_reasoning = DropsReasoning::kUpToFirstMark,
    .calls =
        {
            .call_begin = "<｜tool▁call▁begin｜>",
            .arguments_begin = "<｜tool▁sep｜>",
            .call_end = "<｜tool▁call▁end｜>",
            .between_calls = "",
            .results_begin = "",
            .between_results = "",
            .results_end = "",
            .further_calls_rule = "- For multiple tool calls, chain them directly without separators or spaces\n",
        },
};

}  // namespace hadal::v3
