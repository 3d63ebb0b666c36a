// OpenAI's POST /v1/chat/completions, with DeepSeek's fields: `thinking`, `reasoning_effort`, `reasoning_content`.
#pragma once

#include <memory>

#include "server/api/answer_request.h"
#include "server/api/answer_writer.h"

namespace hadal::api {

// Errors name the field. What is ignored and what is refused: docs/serve.md.
ApiResult<AnswerRequest> parse_chat_completion(const json::Value& body, const RequestDefaults& defaults);

std::unique_ptr<AnswerWriter> chat_completion_writer(const AnswerRequest& request);

}  // namespace hadal::api
