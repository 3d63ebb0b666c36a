// What is said about an answer when it is over: the line of speeds, and the object of --json.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "engine/generate.h"

namespace hadal::cli {

// "13 tokens read (5 cached), 310 tokens/s; 8 written, 120 tokens/s"
std::string speed_line(const GenerationUsage& usage);

struct RunTimes {
  double load_s = 0;         // from the start of the program's work to an engine that is ready
  double first_token_s = 0;  // from the same moment to the first token
};

// {content, reasoning_content, tool_calls, finish_reason, usage, timings}, and logprobs when there are some: shapes as
// in OpenAI's chat API.
json::Value answer_to_json(const Generated& generated, const RunTimes& times, const std::vector<Sampled>& sampled,
                           const Tokenizer& tokenizer);

// One line for each token: its text, its log-probability, the best ones.
std::string logprobs_table(const std::vector<Sampled>& sampled, const Tokenizer& tokenizer);

}  // namespace hadal::cli
