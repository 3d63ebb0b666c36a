// Which address is what: paths, methods, and the dialect in which each speaks, errors included.
#pragma once

#include <string>
#include <string_view>

#include "server/api/api_error.h"
#include "server/known_fields.h"

namespace hadal::server {

enum class Dialect { kOpenai, kAnthropic, kOllama };

enum class RouteName {
  kNone,
  kWrongMethod,
  kRoot,
  kLive,
  kReady,
  kVersion,
  kMetrics,
  kModels,
  kModel,
  kCache,
  kAdminStatus,
  kChatCompletions,
  kCompletions,
  kResponses,
  kResponse,
  kEmbeddings,
  kTokenize,
  kDetokenize,
  kMessages,
  kCountTokens,
  kOllamaChat,
  kOllamaGenerate,
  kOllamaTags,
  kOllamaShow,
  kOllamaRunning,
  kOllamaVersion,
  kOllamaManage,
};

struct Route {
  RouteName name = RouteName::kNone;
  Dialect dialect = Dialect::kOpenai;
  Api api = Api::kOther;
  bool is_open = false;           // needs no key
  bool is_answer = false;         // makes work for the engine
  std::string argument;           // of kModel and kResponse: the id
  bool wants_items = false;       // kResponse: its input items
  std::string_view allowed = "";  // kWrongMethod: what the path is for
};

Route find_route(std::string_view method, std::string_view path);

json::Value error_body(Dialect dialect, const api::ApiError& error, std::string_view request_id);

}  // namespace hadal::server
