// The readers of all APIs' bodies against any JSON: an error names a field or the request is whole.
//
// Input: one byte that chooses the API, then the body.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/json.h"
#include "server/api/chat_completions.h"
#include "server/api/completions.h"
#include "server/api/messages.h"
#include "server/api/ollama.h"
#include "server/api/responses.h"

namespace {

using hadal::api::AnswerRequest;

void check_request(const AnswerRequest& request) {
  HADAL_CHECK(request.raw.has_value() || !request.messages.empty(), "a request without a prompt");
  HADAL_CHECK(request.n >= 1 && request.n <= 16, "answers", request.n);
  HADAL_CHECK(hadal::check(request.sampling, 1000).ok(), "sampling that the sampler refuses");
}

template <class Parsed>
void check_error(const Parsed& parsed) {
  HADAL_CHECK(parsed.error().status >= 400 && parsed.error().status < 500, "status", parsed.error().status);
  HADAL_CHECK(!parsed.error().message.empty(), "an error without a message");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const hadal::Result<hadal::json::Value> body =
      hadal::json::parse(text, "body", {.bytes_max = 1 << 20, .depth_max = 64});
  if (!body.ok() || !body->is_object()) return 0;
  hadal::api::RequestDefaults defaults;
  defaults.vocab_size = 1000;
  switch (data[0] % 6) {
    case 0: {
      auto parsed = hadal::api::parse_chat_completion(*body, defaults);
      parsed.ok() ? check_request(*parsed) : check_error(parsed);
      break;
    }
    case 1: {
      auto parsed = hadal::api::parse_completion(*body, defaults);
      parsed.ok() ? check_request(*parsed) : check_error(parsed);
      break;
    }
    case 2: {
      auto parsed = hadal::api::parse_messages(*body, defaults, false);
      parsed.ok() ? check_request(*parsed) : check_error(parsed);
      break;
    }
    case 3: {
      auto parsed = hadal::api::parse_responses(*body, defaults);
      if (!parsed.ok()) check_error(parsed);
      break;
    }
    default: {
      const auto form = data[0] % 6 == 4 ? hadal::api::OllamaForm::kChat : hadal::api::OllamaForm::kGenerate;
      auto parsed = hadal::api::parse_ollama(form, *body, defaults);
      if (!parsed.ok()) {
        check_error(parsed);
      } else if (*parsed) {
        check_request(**parsed);
      }
    }
  }
  return 0;
}
