#include "server/routes.h"

namespace hadal::server {
namespace {

struct Entry {
  std::string_view path;
  std::string_view methods;
  RouteName name;
  Dialect dialect = Dialect::kOpenai;
  Api api = Api::kOther;
  bool is_open = false;
  bool is_answer = false;
};

constexpr auto kOpenai = Dialect::kOpenai;
constexpr auto kAnthropic = Dialect::kAnthropic;
constexpr auto kOllama = Dialect::kOllama;

constexpr Entry kEntries[] = {
    {"/", "GET, HEAD", RouteName::kRoot, kOllama, Api::kOther, true},
    {"/livez", "GET, HEAD", RouteName::kLive, kOpenai, Api::kOther, true},
    {"/readyz", "GET, HEAD", RouteName::kReady, kOpenai, Api::kOther, true},
    {"/ready", "GET, HEAD", RouteName::kReady, kOpenai, Api::kOther, true},
    {"/health", "GET, HEAD", RouteName::kReady, kOpenai, Api::kOther, true},
    {"/v1/health", "GET, HEAD", RouteName::kReady, kOpenai, Api::kOther, true},
    {"/version", "GET, HEAD", RouteName::kVersion, kOpenai, Api::kOther, true},
    {"/metrics", "GET", RouteName::kMetrics, kOpenai, Api::kOther, true},
    {"/v1/models", "GET", RouteName::kModels},
    {"/v1/cache", "GET", RouteName::kCache},
    {"/v1/admin/status", "GET", RouteName::kAdminStatus},
    {"/v1/chat/completions", "POST", RouteName::kChatCompletions, kOpenai, Api::kChat, false, true},
    {"/v1/completions", "POST", RouteName::kCompletions, kOpenai, Api::kCompletions, false, true},
    {"/v1/responses", "POST", RouteName::kResponses, kOpenai, Api::kResponses, false, true},
    {"/v1/embeddings", "POST", RouteName::kEmbeddings},
    {"/tokenize", "POST", RouteName::kTokenize},
    {"/detokenize", "POST", RouteName::kDetokenize},
    {"/v1/messages", "POST", RouteName::kMessages, kAnthropic, Api::kMessages, false, true},
    {"/v1/messages/count_tokens", "POST", RouteName::kCountTokens, kAnthropic, Api::kMessages},
    {"/api/chat", "POST", RouteName::kOllamaChat, kOllama, Api::kOllama, false, true},
    {"/api/generate", "POST", RouteName::kOllamaGenerate, kOllama, Api::kOllama, false, true},
    {"/api/tags", "GET, HEAD", RouteName::kOllamaTags, kOllama},
    {"/api/show", "POST", RouteName::kOllamaShow, kOllama},
    {"/api/ps", "GET", RouteName::kOllamaRunning, kOllama},
    {"/api/version", "GET, HEAD", RouteName::kOllamaVersion, kOllama},
    {"/api/embed", "POST", RouteName::kEmbeddings, kOllama},
    {"/api/embeddings", "POST", RouteName::kEmbeddings, kOllama},
    {"/api/pull", "POST", RouteName::kOllamaManage, kOllama},
    {"/api/push", "POST", RouteName::kOllamaManage, kOllama},
    {"/api/create", "POST", RouteName::kOllamaManage, kOllama},
    {"/api/copy", "POST", RouteName::kOllamaManage, kOllama},
    {"/api/delete", "DELETE", RouteName::kOllamaManage, kOllama},
};

// DeepSeek's base URL has no /v1, and some of its features lie under /beta; clients end paths with a slash or not.
std::string canonical(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  constexpr std::string_view kBeta = "/beta";
  if (path.starts_with("/beta/")) path.remove_prefix(kBeta.size());
  for (const std::string_view bare : {"/chat/completions", "/completions", "/models", "/responses", "/embeddings"}) {
    if (path == bare || (path.starts_with(bare) && path[bare.size()] == '/')) return "/v1" + std::string(path);
  }
  return std::string(path);
}

bool allows(std::string_view methods, std::string_view method) {
  while (!methods.empty()) {
    const size_t end = methods.find(", ");
    if (methods.substr(0, end) == method) return true;
    if (end == std::string_view::npos) return false;
    methods.remove_prefix(end + 2);
  }
  return false;
}

// Paths with an id in them.
Route find_with_argument(std::string_view method, std::string_view path) {
  Route route;
  constexpr std::string_view kModels = "/v1/models/", kResponses = "/v1/responses/", kItems = "/input_items";
  if (path.starts_with(kModels)) {
    route.name = method == "GET" ? RouteName::kModel : RouteName::kWrongMethod;
    route.allowed = "GET";
    route.argument = path.substr(kModels.size());
  } else if (path.starts_with(kResponses)) {
    std::string_view id = path.substr(kResponses.size());
    route.wants_items = id.ends_with(kItems);
    if (route.wants_items) id.remove_suffix(kItems.size());
    route.argument = id;
    route.allowed = route.wants_items ? "GET" : "GET, DELETE";
    route.name = allows(route.allowed, method) ? RouteName::kResponse : RouteName::kWrongMethod;
  }
  return route;
}

Dialect dialect_of(std::string_view path) {
  if (path.starts_with("/v1/messages")) return kAnthropic;
  return path.starts_with("/api/") ? kOllama : kOpenai;
}

}  // namespace

Route find_route(std::string_view method, std::string_view raw_path) {
  const std::string path = canonical(raw_path);
  for (const Entry& entry : kEntries) {
    if (entry.path != path) continue;
    Route route{.name = entry.name,
                .dialect = entry.dialect,
                .api = entry.api,
                .is_open = entry.is_open,
                .is_answer = entry.is_answer,
                .argument = "",
                .wants_items = false,
                .allowed = entry.methods};
    if (!allows(entry.methods, method)) route.name = RouteName::kWrongMethod;
    return route;
  }
  Route route = find_with_argument(method, path);
  route.dialect = dialect_of(path);
  return route;
}

json::Value error_body(Dialect dialect, const api::ApiError& error, std::string_view request_id) {
  switch (dialect) {
    case Dialect::kAnthropic:
      return api::anthropic_error(error, request_id);
    case Dialect::kOllama:
      return api::ollama_error(error);
    case Dialect::kOpenai:
      break;
  }
  return api::openai_error(error);
}

}  // namespace hadal::server
