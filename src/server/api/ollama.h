// Ollama's POST /api/chat and /api/generate.
#pragma once

#include <functional>
#include <memory>

#include "server/api/answer_request.h"
#include "server/api/answer_writer.h"

namespace hadal::api {

enum class OllamaForm { kChat, kGenerate };

// Nothing in the optional: the request loads (or unloads) a model and wants no answer.
ApiResult<std::optional<AnswerRequest>> parse_ollama(OllamaForm form, const json::Value& body,
                                                     const RequestDefaults& defaults);

// `now` gives the time of a frame: "2026-11-23T09:15:00.123Z".
std::unique_ptr<AnswerWriter> ollama_writer(OllamaForm form, std::string model, std::function<std::string()> now);

// The answer to a request without a prompt.
json::Value ollama_loaded(OllamaForm form, std::string_view model, std::string_view reason, std::string_view now);

}  // namespace hadal::api
