// Anthropic's POST /v1/messages and /v1/messages/count_tokens.
#pragma once

#include <memory>

#include "server/api/answer_request.h"
#include "server/api/answer_writer.h"

namespace hadal::api {

// `counts`: for count_tokens, where max_tokens may be missing.
ApiResult<AnswerRequest> parse_messages(const json::Value& body, const RequestDefaults& defaults, bool counts);

// `request_id`: for error bodies.
std::unique_ptr<AnswerWriter> messages_writer(const AnswerRequest& request, std::string request_id);

}  // namespace hadal::api
