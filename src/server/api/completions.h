// OpenAI's POST /v1/completions: text continued as it is, without a template, or filled in between prompt and suffix.
#pragma once

#include <memory>

#include "server/api/answer_request.h"
#include "server/api/answer_writer.h"

namespace hadal::api {

// One prompt: a string or a list of token ids. Several prompts in one request are refused.
ApiResult<AnswerRequest> parse_completion(const json::Value& body, const RequestDefaults& defaults);

std::unique_ptr<AnswerWriter> completion_writer(const AnswerRequest& request);

}  // namespace hadal::api
