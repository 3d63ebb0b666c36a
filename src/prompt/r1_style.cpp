// R1's tables: V3's calls and results, reasoning always. R1's prompt opens the reasoning, R1-0528 opens it itself.
#include "prompt/v3_style.h"

namespace hadal::v3 {

const Style kR1 = {
    .reasoning = Reasoning::kAlways,
    .asks_for_reasoning = "<think>\n",
    .asks_behind_answer = true,
    .drops_reasoning = DropsReasoning::kUpToLastMark,
    .calls = kFencedCalls,
};

const Style kR1Release0528 = {
    .reasoning = Reasoning::kAlways,
    .only_users_get_headers = true,
    .asks_behind_answer = true,
    .drops_reasoning = DropsReasoning::kUpToLastMark,
    .calls = kFencedCalls,
};

}  // namespace hadal::v3
