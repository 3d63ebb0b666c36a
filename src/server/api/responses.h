// OpenAI's POST /v1/responses.
#pragma once

#include <map>
#include <memory>

#include "server/api/answer_request.h"
#include "server/api/answer_writer.h"

namespace hadal::api {

// How a tool was declared, by the name under which the model sees it: calls go back in the same form.
struct ResponseTool {
  std::string name;
  std::string tool_namespace;  // empty: none
  bool is_custom = false;      // free text instead of JSON arguments; the model writes it as parameter "input"
};

struct ResponsesRequest {
  AnswerRequest answer;  // its messages are those of `input` only
  std::string instructions;
  std::optional<std::string> previous_response_id;
  bool store = true;
  bool includes_encrypted_reasoning = false;
  std::map<std::string, ResponseTool> tools;
  json::Value input_items;  // as they came, a string as one message item
  json::Value echoed;       // the fields of the envelope that repeat the request
};

ApiResult<ResponsesRequest> parse_responses(const json::Value& body, const RequestDefaults& defaults);

std::unique_ptr<AnswerWriter> responses_writer(const ResponsesRequest& request);

}  // namespace hadal::api
