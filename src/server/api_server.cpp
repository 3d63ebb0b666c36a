#include "server/api_server.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "base/utf8.h"
#include "server/answer_session.h"
#include "server/api/chat_completions.h"
#include "server/api/completions.h"
#include "server/api/messages.h"
#include "server/api/ollama.h"
#include "server/api/responses.h"
#include "server/known_fields.h"
#include "server/metrics.h"
#include "server/model_card.h"
#include "server/response_store.h"
#include "server/routes.h"

namespace hadal::server {
namespace {

using api::ApiError;
using api::ApiResult;
using json::Value;

constexpr json::ParseLimits kBodyLimits = {.bytes_max = 64 << 20, .depth_max = 64, .values_max = 1 << 20};
constexpr std::string_view kOllamaVersion = "0.14.0";  // clients compare it with a minimum

double steady_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
int64_t unix_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}
std::string ollama_now() {
  return utc_time(unix_ms(), true);
}

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1" || address == "localhost";
}

// Of "localhost:8080", "[::1]:8080".
std::string host_name(std::string_view host) {
  if (host.starts_with('[')) return std::string(host.substr(1, host.find(']') - 1));
  return std::string(host.substr(0, host.find(':')));
}

ApiResult<Value> parse_body(const std::string& body) {
  if (!utf8::is_valid(body)) return ApiError{.code = "invalid_utf8", .message = "the body is not valid UTF-8"};
  Result<Value> parsed = json::parse(body, "body", kBodyLimits);
  if (!parsed.ok()) {
    const Error& e = parsed.error();
    const bool is_limit = e.code == ErrorCode::kLimit;
    return ApiError{.code = is_limit ? "json_too_deep" : "invalid_json",
                    .message = fmt::format("{}: {}; expected {}, found {}", e.in, e.what, e.want, e.found)};
  }
  if (!parsed->is_object()) return ApiError{.code = "invalid_json", .message = "the body must be a JSON object"};
  return std::move(parsed).value();
}

}  // namespace

// A request while it is looked at.
struct Call {
  http::Request request;
  std::shared_ptr<http::Exchange> exchange;
  Route route;
  std::string id;
  const Key* key = nullptr;
};

class ApiServer::Impl {
 public:
  Impl(std::unique_ptr<GenerationService> service, ApiServerOptions options)
      : options_(std::move(options)),
        service_(std::move(service)),
        card_(service_->model(), service_->engine_options(), options_.model_name, options_.aliases, unix_ms() / 1000),
        grammars_(service_->model()),
        metrics_(options_.model_name, options_.vllm_metrics),
        started_s_(steady_s()) {}

  ~Impl() {
    if (http_) http_->stop();  // no callback comes any more; then the service may go, and then what its sinks held
    service_.reset();
  }

  Result<void> listen() {
    HADAL_ASSIGN(http_, http::Server::listen(
                            options_.http, [this](const http::Request& head) { return check_head(head); },
                            [this](http::Request request, std::shared_ptr<http::Exchange> exchange) {
                              handle(std::move(request), std::move(exchange));
                            }));
    return {};
  }

  uint16_t port() const { return http_->port(); }
  ServiceStatus status() const { return service_->status(); }

  void shut_down(double seconds) {
    is_draining_ = true;
    http_->stop_accepting();
    if (service_->drain(seconds)) return flush();
    service_->cancel_all();
    service_->drain(5);
    flush();
  }

 private:
  // Gives the I/O threads time to send the last bytes.
  static void flush() { std::this_thread::sleep_for(std::chrono::milliseconds(200)); }

  // --- in front of the body
  // -------------------------------------------------------------------------------------------

  std::optional<http::Response> check_head(const http::Request& head) {
    const Route route = find_route(head.method, head.path);
    const auto refuse = [&](const ApiError& error, http::Headers headers = {}) {
      metrics_.refused(error.code.empty() ? fmt::format("{}", error.status) : error.code);
      if (error.retry_after_s > 0)
        headers.emplace_back("retry-after", fmt::format("{:.0f}", std::ceil(error.retry_after_s)));
      const std::string id = api::mint_id("req_");
      headers.emplace_back("x-request-id", id);
      headers.emplace_back("request-id", id);
      add_cors(head, headers);
      return http::Response{.status = error.status,
                            .body = json::dump(error_body(route.dialect, error, id)),
                            .headers = std::move(headers)};
    };
    if (options_.keys.is_empty() && is_loopback(options_.http.address) && !is_local_host(head)) {
      return refuse({.status = 403,
                     .type = "permission_error",
                     .message = "this server answers to localhost only; start it with a key to give it other names"});
    }
    if (head.method == "OPTIONS" && !options_.cors_origins.empty()) return preflight(head);
    if (route.name == RouteName::kNone) {
      return refuse(
          {.status = 404, .code = "not_found", .message = fmt::format("there is no {}", json::excerpt(head.path))});
    }
    if (route.name == RouteName::kWrongMethod) {
      return refuse({.status = 405,
                     .code = "method_not_allowed",
                     .message = fmt::format("{} is not for {}", json::excerpt(head.path), json::excerpt(head.method))},
                    {{"allow", std::string(route.allowed)}});
    }
    if (!route.is_open && key_of(head) == nullptr) {
      return refuse({.status = 401,
                     .type = "authentication_error",
                     .code = "invalid_api_key",
                     .message = "the API key is missing or wrong"},
                    {{"www-authenticate", "Bearer"}});
    }
    if (is_draining_ && route.is_answer) {
      return refuse({.status = 503,
                     .type = "server_error",
                     .code = "shutting_down",
                     .message = "the server is shutting down",
                     .retry_after_s = 5});
    }
    return std::nullopt;
  }

  // A page of another site must not reach this server through a name that it controls.
  static bool is_local_host(const http::Request& head) {
    const std::string host = host_name(head.header("host"));
    return host.empty() || is_loopback(host) || host.ends_with(".localhost");
  }

  const Key* key_of(const http::Request& head) const {
    return options_.keys.find(head.header("authorization"), head.header("x-api-key"));
  }

  void add_cors(const http::Request& request, http::Headers& headers) const {
    const std::string origin(request.header("origin"));
    if (origin.empty()) return;
    for (const std::string& allowed : options_.cors_origins) {
      if (allowed != "*" && allowed != origin) continue;
      headers.emplace_back("access-control-allow-origin", origin);
      headers.emplace_back("vary", "origin");
      return;
    }
  }

  http::Response preflight(const http::Request& head) const {
    http::Headers headers = {
        {"access-control-allow-methods", "GET, POST, DELETE"},
        {"access-control-allow-headers", "authorization, content-type, x-api-key, anthropic-version"},
        {"access-control-max-age", "600"}};
    add_cors(head, headers);
    return {.status = 204, .content_type = "", .body = "", .headers = std::move(headers)};
  }

  // --- answers that are known at once
  // ---------------------------------------------------------------------------------

  void respond(const Call& call, int status, std::string body, std::string content_type = "application/json",
               http::Headers headers = {}) const {
    headers.emplace_back("x-request-id", call.id);
    headers.emplace_back("request-id", call.id);
    add_cors(call.request, headers);
    call.exchange->respond({.status = status,
                            .content_type = std::move(content_type),
                            .body = std::move(body),
                            .headers = std::move(headers)});
  }
  void respond(const Call& call, const Value& body) const { respond(call, 200, json::dump(body)); }

  void refuse(const Call& call, const ApiError& error) {
    metrics_.refused(error.code.empty() ? fmt::format("{}", error.status) : error.code);
    http::Headers headers;
    if (error.retry_after_s > 0)
      headers.emplace_back("retry-after", fmt::format("{:.0f}", std::ceil(error.retry_after_s)));
    if (error.status >= 500 && error.retry_after_s == 0) headers.emplace_back("x-should-retry", "false");
    log(call, error.status, [&](Value& line) { line.set("error", Value::string(error.message)); });
    respond(call, error.status, json::dump(error_body(call.route.dialect, error, call.id)), "application/json",
            std::move(headers));
  }

  template <class Add>
  void log(const Call& call, int status, const Add& add) const {
    if (!options_.log) return;
    Value line = Value::object();
    line.set("time", Value::string(utc_time(unix_ms(), true)))
        .set("request_id", Value::string(call.id))
        .set("key", Value::string(call.key == nullptr ? "" : call.key->name))
        .set("method", Value::string(call.request.method))
        .set("path", Value::string(utf8::front(call.request.path, 200)))
        .set("client", Value::string(utf8::front(call.request.header("user-agent"), 200)))
        .set("status", Value::number(static_cast<int64_t>(status)));
    add(line);
    options_.log(json::dump(line));
  }

  // --- routes
  // ---------------------------------------------------------------------------------------------------------

  void handle(http::Request request, std::shared_ptr<http::Exchange> exchange) {
    Call call;
    call.request = std::move(request);
    call.exchange = std::move(exchange);
    call.id = api::mint_id("req_");
    call.route = find_route(call.request.method, call.request.path);
    call.key = key_of(call.request);
    switch (call.route.name) {
      case RouteName::kRoot:
        return respond(call, 200, "Ollama is running", "text/plain; charset=utf-8");
      case RouteName::kLive:
        return respond(call, Value::object({{"status", Value::string("ok")}}));
      case RouteName::kReady:
        return respond(call, is_draining_ ? 503 : 200,
                       is_draining_ ? R"({"status":"draining"})" : R"({"status":"ok"})");
      case RouteName::kVersion:
        return respond(call, Value::object({{"version", Value::string(HADAL_SERVER_VERSION)}}));
      case RouteName::kMetrics:
        return respond(call, 200, metrics_.text(service_->status()), "text/plain; version=0.0.4; charset=utf-8");
      case RouteName::kModels:
        return respond(call, card_.openai_list());
      case RouteName::kModel:
        if (!card_.answers_to(call.route.argument)) return refuse(call, unknown_model(call.route.argument));
        return respond(call, card_.openai_entry());
      case RouteName::kCache:
        return respond(call, cache_report(scope_of(call)));
      case RouteName::kAdminStatus:
        return respond(call, admin_status());
      case RouteName::kOllamaVersion:
        return respond(call, Value::object({{"version", Value::string(kOllamaVersion)}}));
      case RouteName::kOllamaTags:
        return respond(call, card_.ollama_tags());
      case RouteName::kOllamaRunning:
        return respond(call, card_.ollama_running());
      case RouteName::kOllamaManage:
        return refuse(call, {.status = 403, .message = "this server does not manage models"});
      case RouteName::kResponse:
        return stored_response(call);
      case RouteName::kNone:
      case RouteName::kWrongMethod:
        return refuse(call, {.status = 404, .code = "not_found", .message = "there is nothing here"});
      default:
        break;
    }
    ApiResult<Value> body = parse_body(call.request.body);
    call.request.body = {};  // a long one would be held as long as its answer runs
    if (!body.ok()) return refuse(call, body.error());
    if (const auto error = check_fields(call.route.api, *body)) return refuse(call, *error);
    handle_body(std::move(call), *body);
  }

  std::optional<ApiError> check_fields(Api api, const Value& body) {
    for (const std::string& name : unknown_fields(api, body)) {
      metrics_.unknown_parameter(json::excerpt(name));
      if (options_.strict_params) {
        return api::unsupported_parameter(json::excerpt(name),
                                          fmt::format("'{}' is unknown to this server", json::excerpt(name)));
      }
    }
    return std::nullopt;
  }

  void handle_body(Call call, const Value& body) {
    const api::RequestDefaults defaults = request_defaults();
    switch (call.route.name) {
      case RouteName::kChatCompletions: {
        auto request = api::parse_chat_completion(body, defaults);
        if (!request.ok()) return refuse(call, request.error());
        auto writer = api::chat_completion_writer(*request);
        return answer(std::move(call), *request, std::move(writer), "chatcmpl-");
      }
      case RouteName::kCompletions: {
        auto request = api::parse_completion(body, defaults);
        if (!request.ok()) return refuse(call, request.error());
        auto writer = api::completion_writer(*request);
        return answer(std::move(call), *request, std::move(writer), "cmpl-");
      }
      case RouteName::kMessages: {
        auto request = api::parse_messages(body, defaults, false);
        if (!request.ok()) return refuse(call, request.error());
        auto writer = api::messages_writer(*request, call.id);
        return answer(std::move(call), *request, std::move(writer), "msg_");
      }
      case RouteName::kCountTokens:
        return count_tokens(call, api::parse_messages(body, defaults, true));
      case RouteName::kResponses:
        return responses(std::move(call), body, defaults);
      case RouteName::kOllamaChat:
      case RouteName::kOllamaGenerate:
        return ollama(std::move(call), body, defaults);
      case RouteName::kOllamaShow: {
        const Value* model = body.find("model");
        if (model != nullptr && !card_.answers_to(model->as_string()))
          return refuse(call, unknown_model(model->as_string()));
        return respond(call, card_.ollama_show());
      }
      case RouteName::kEmbeddings:
        return refuse(call, api::invalid_value("model", "this model does not produce embeddings"));
      case RouteName::kTokenize:
        return tokenize(call, body);
      case RouteName::kDetokenize:
        return detokenize(call, body);
      default:
        return refuse(call, {.status = 404, .code = "not_found", .message = "there is nothing here"});
    }
  }

  api::RequestDefaults request_defaults() const {
    const LoadedModel& model = service_->model();
    api::RequestDefaults defaults;
    defaults.sampling.temperature = model.generation.temperature;
    defaults.sampling.top_p = model.generation.top_p;
    defaults.vocab_size = model.description.vocab_size;
    return defaults;
  }

  ApiError unknown_model(std::string_view name) const {
    return {.status = 404,
            .code = "model_not_found",
            .param = "model",
            .message = fmt::format("model '{}' not found; this server has '{}'", json::excerpt(name), card_.name())};
  }

  std::string scope_of(const Call& call) const { return options_.shares_cache ? "" : call.key->name; }

  AnswerContext context_of(const std::string& scope) {
    return {.model = service_->model(),
            .defaults = options_.answers,
            .grammars = grammars_,
            .replays = replays_,
            .scope = scope};
  }

  ApiError too_long(Dialect dialect, int64_t prompt_tokens, int64_t max_tokens) const {
    const int64_t limit = service_->engine_options().context_tokens;
    const int64_t completion = std::max<int64_t>(max_tokens, 1);
    ApiError error{.code = "context_length_exceeded", .param = "messages", .message = ""};
    error.message =
        dialect == Dialect::kAnthropic
            ? fmt::format("prompt is too long: {} tokens > {} maximum", prompt_tokens, limit)
            : fmt::format(
                  "This model's maximum context length is {} tokens. However, you requested {} tokens ({} in the "
                  "messages, {} in the completion).",
                  limit, prompt_tokens + completion, prompt_tokens, completion);
    return error;
  }

  using Done = std::function<void(const AnswerReport&)>;

  void answer(Call call, const api::AnswerRequest& request, std::unique_ptr<api::AnswerWriter> writer,
              std::string_view id_prefix, Done done = nullptr) {
    if (!card_.answers_to(request.model)) return refuse(call, unknown_model(request.model));
    const std::string scope = scope_of(call);
    ApiResult<GenerationRequest> prepared = prepare_answer(request, context_of(scope));
    if (!prepared.ok()) return refuse(call, prepared.error());
    const auto prompt_tokens = static_cast<int64_t>(prepared->prompt.size());
    if (prompt_tokens >= service_->engine_options().context_tokens) {
      return refuse(call, too_long(call.route.dialect, prompt_tokens, request.max_tokens));
    }
    if (const auto wait_s = limits_.take(*call.key, static_cast<double>(prompt_tokens), steady_s())) {
      return refuse(call,
                    {.status = 429,
                     .type = "rate_limit_error",
                     .code = "rate_limit_exceeded",
                     .message = fmt::format("this key's limit is reached; try again in {:.0f} s", std::ceil(*wait_s)),
                     .retry_after_s = *wait_s});
    }
    prepared->key = call.key->name;
    prepared->scope = scope;
    prepared->priority = call.key->priority;

    AnswerSessionOptions session_options;
    session_options.request_id = call.id;
    session_options.facts = {.id = api::mint_id(id_prefix),
                             .created_s = unix_ms() / 1000,
                             .model = request.model.empty() ? card_.name() : request.model,
                             .fingerprint = card_.fingerprint(),
                             .prompt_tokens = prompt_tokens,
                             .cached_tokens = 0};
    session_options.stream = request.stream;
    session_options.wants_progress = request.wants_progress;
    session_options.has_logprobs = request.sampling.logprobs.has_value();
    session_options.n = request.n;
    session_options.call_id_prefix = call.route.dialect == Dialect::kAnthropic ? "toolu_" : "call_";
    session_options.stop = request.stop;
    session_options.keep_alive_s = options_.keep_alive_s;
    // For the log, without what is held elsewhere.
    auto kept = std::make_shared<Call>(call);
    kept->exchange = nullptr;
    // What stands behind the last message is the header of the reply.
    const auto header_at =
        static_cast<std::ptrdiff_t>(prepared->message_ends.empty() ? 0 : prepared->message_ends.back());
    std::vector<TokenId> header(prepared->prompt.begin() + header_at, prepared->prompt.end());
    session_options.done = [this, kept, scope, header = std::move(header),
                            done = std::move(done)](const AnswerReport& report) {
      finished(*kept, report);
      remember_turns(scope, header, report);
      if (done) done(report);
    };
    auto session = std::make_shared<AnswerSession>(call.exchange, std::move(writer), *service_->model().tokenizer,
                                                   std::move(session_options));
    const Result<RequestId> id = service_->submit(std::move(*prepared), session);
    if (!id.ok()) return refuse(call, submit_error(id.error()));
    session->watch(*service_, *id);
  }

  // Turns that ended by themselves: of those that were cut nobody knows how they would have gone on.
  void remember_turns(const std::string& scope, const std::vector<TokenId>& header, const AnswerReport& report) {
    if (report.choices == nullptr) return;
    for (const api::ChoiceAnswer& answer : *report.choices) {
      const Generated& generated = answer.generated;
      const bool is_whole = generated.finish_reason == FinishReason::kStop && !generated.tokens.empty() &&
                            generated.tokens.back() == service_->model().description.eos_token_id;
      if (!is_whole) continue;
      RecordedTurn turn{.tokens = header, .message = generated.message};
      turn.tokens.insert(turn.tokens.end(), generated.tokens.begin(), generated.tokens.end());
      replays_.put(scope, std::move(turn));
    }
  }

  ApiError submit_error(const Error& error) const {
    if (error.code == ErrorCode::kLimit && error.what == "too many requests are waiting") {
      return {.status = 429,
              .type = "rate_limit_error",
              .code = "queue_full",
              .message = error.what,
              .retry_after_s = service_->retry_after_s()};
    }
    return api::of_error(error);
  }

  void finished(const Call& call, const AnswerReport& report) {
    metrics_.answered(report);
    log(call, report.status, [&](Value& line) {
      const double decode_s = report.first_token_s > 0 ? report.total_s - report.first_token_s : 0;
      line.set("finish_reason", Value::string(report.finish_reason))
          .set("prompt_tokens", Value::number(report.cache.prompt_tokens))
          .set("cached_tokens", Value::number(report.cache.reused_tokens))
          .set("replayed_tokens", Value::number(report.cache.matched_tokens - report.cache.reused_tokens))
          .set("completion_tokens", Value::number(report.generated_tokens))
          .set("reasoning_tokens", Value::number(report.reasoning_tokens))
          .set("queue_s", Value::number(report.queue_s))
          .set("prefill_s", Value::number(std::max(0.0, report.first_token_s - report.queue_s)))
          .set("decode_s", Value::number(decode_s))
          .set("cache", Value::string(decision_text(report.cache)));
    });
  }

  static std::string decision_text(const CacheDecision& cache) {
    return fmt::format("{} checkpoint {}, replay {}: {}", cache.reused_tokens > 0 ? "hit" : "miss", cache.reused_tokens,
                       cache.matched_tokens - cache.reused_tokens, prefix_end_name(cache.end));
  }

  void count_tokens(const Call& call, ApiResult<api::AnswerRequest> request) {
    if (!request.ok()) return refuse(call, request.error());
    if (!card_.answers_to(request->model)) return refuse(call, unknown_model(request->model));
    const std::string scope = scope_of(call);
    auto prepared = prepare_answer(*request, context_of(scope));
    if (!prepared.ok()) return refuse(call, prepared.error());
    respond(call, Value::object({{"input_tokens", Value::number(static_cast<int64_t>(prepared->prompt.size()))}}));
  }

  void responses(Call call, const Value& body, const api::RequestDefaults& defaults) {
    auto request = api::parse_responses(body, defaults);
    if (!request.ok()) return refuse(call, request.error());
    const std::string scope = scope_of(call);
    std::vector<Message> conversation;
    if (request->previous_response_id) {
      const auto previous = store_.get(scope, *request->previous_response_id, steady_s());
      if (!previous) {
        return refuse(
            call, {.status = 400,
                   .code = "previous_response_not_found",
                   .param = "previous_response_id",
                   .message = "the previous response is unknown: it has expired, was not stored, or is another key's"});
      }
      conversation = previous->messages;
    }
    api::AnswerRequest& answer_request = request->answer;
    conversation.insert(conversation.end(), answer_request.messages.begin(), answer_request.messages.end());
    if (const auto error = api::check_tool_results(conversation, "input")) return refuse(call, *error);
    answer_request.messages = conversation;
    if (!request->instructions.empty()) {
      std::vector<Message>& messages = answer_request.messages;
      messages.insert(messages.begin(), system_message(request->instructions));
    }
    api::join_system_messages(answer_request.messages);

    Done done;
    if (request->store) {
      done = [this, scope, kept = *request, conversation](const AnswerReport& report) mutable {
        if (report.choices == nullptr) return;
        conversation.push_back(report.choices->front().generated.message);
        const std::unique_ptr<api::AnswerWriter> whole = api::responses_writer(kept);
        store_.put(scope,
                   {.id = report.facts->id,
                    .body = whole->whole(*report.facts, *report.choices),
                    .input_items = kept.input_items,
                    .messages = std::move(conversation)},
                   steady_s());
      };
    }
    auto writer = api::responses_writer(*request);
    answer(std::move(call), answer_request, std::move(writer), "resp_", std::move(done));
  }

  void stored_response(const Call& call) {
    const std::string scope = scope_of(call);
    const ApiError unknown{.status = 404, .code = "not_found", .message = "there is no such response"};
    if (call.request.method == "DELETE") {
      if (!store_.remove(scope, call.route.argument)) return refuse(call, unknown);
      Value body = Value::object();
      body.set("id", Value::string(call.route.argument))
          .set("object", Value::string("response"))
          .set("deleted", Value::boolean(true));
      return respond(call, body);
    }
    const auto found = store_.get(scope, call.route.argument, steady_s());
    if (!found) return refuse(call, unknown);
    if (!call.route.wants_items) return respond(call, found->body);
    respond(call, Value::object({{"object", Value::string("list")},
                                 {"data", found->input_items},
                                 {"has_more", Value::boolean(false)}}));
  }

  void ollama(Call call, const Value& body, const api::RequestDefaults& defaults) {
    const auto form = call.route.name == RouteName::kOllamaChat ? api::OllamaForm::kChat : api::OllamaForm::kGenerate;
    auto request = api::parse_ollama(form, body, defaults);
    if (!request.ok()) return refuse(call, request.error());
    if (!*request) {
      const Value* keep = body.find("keep_alive");
      const bool unloads = keep != nullptr && keep->is_number() && keep->as_double() == 0.0;
      return respond(call, api::ollama_loaded(form, card_.name(), unloads ? "unload" : "load", ollama_now()));
    }
    auto writer = api::ollama_writer(form, (*request)->model, ollama_now);
    const api::AnswerRequest answer_request = std::move(**request);
    answer(std::move(call), answer_request, std::move(writer), "");
  }

  void tokenize(const Call& call, const Value& body) const {
    const Value* content = body.find("content");
    if (content == nullptr) content = body.find("prompt");
    if (content == nullptr || !content->is_string()) {
      return respond(call, 400, json::dump(api::openai_error(api::missing_parameter("content"))));
    }
    Value tokens = Value::array();
    for (const TokenId id : service_->model().tokenizer->encode(content->as_string(), AddedTokens::kAsText)) {
      tokens.push(Value::number(static_cast<int64_t>(id)));
    }
    respond(call, Value::object({{"tokens", std::move(tokens)}}));
  }

  void detokenize(const Call& call, const Value& body) {
    const Value* tokens = body.find("tokens");
    if (tokens == nullptr || !tokens->is_array()) return refuse(call, api::missing_parameter("tokens"));
    std::vector<TokenId> ids;
    for (const Value& item : tokens->items()) {
      const std::optional<int64_t> id = item.is_number() ? item.as_int() : std::nullopt;
      if (!id || *id < 0 || *id >= service_->model().tokenizer->vocab_size()) {
        return refuse(call, api::invalid_value("tokens", "'tokens' must hold ids of the vocabulary"));
      }
      ids.push_back(static_cast<TokenId>(*id));
    }
    respond(call, Value::object({{"content", Value::string(service_->model().tokenizer->decode(ids, false))}}));
  }

  // --- what the server says of itself
  // ---------------------------------------------------------------------------------

  Value cache_report(const std::string& scope) const {
    const ServiceStatus status = service_->status();
    Value decisions = Value::array();
    for (const CacheDecision& decision : status.last_decisions) {
      if (decision.scope != scope) continue;
      Value entry = Value::object();
      entry.set("prompt_tokens", Value::number(decision.prompt_tokens))
          .set("matched_tokens", Value::number(decision.matched_tokens))
          .set("cached_tokens", Value::number(decision.reused_tokens))
          .set("reason", Value::string(prefix_end_name(decision.end)));
      decisions.push(std::move(entry));
    }
    Value body = Value::object();
    body.set("bytes", Value::number(static_cast<int64_t>(status.cache.bytes)))
        .set("budget_bytes", Value::number(static_cast<int64_t>(status.cache_bytes_max)))
        .set("last", std::move(decisions));
    return body;
  }

  Value admin_status() const {
    const ServiceStatus status = service_->status();
    const auto number = [](auto v) { return Value::number(static_cast<int64_t>(v)); };
    Value cache = Value::object();
    cache.set("tokens", number(status.cache.tokens))
        .set("checkpoints", number(status.cache.checkpoints))
        .set("bytes", number(status.cache.bytes))
        .set("budget_bytes", number(status.cache_bytes_max))
        .set("hit_tokens", number(status.reused_tokens))
        .set("query_tokens", number(status.prompt_tokens));
    Value memory = Value::object();
    memory.set("tier", Value::string("RAM"))
        .set("used_bytes", number(status.sequence_bytes))
        .set("budget_bytes", number(status.sequence_bytes_max));
    Value requests = Value::array();
    for (const RequestStatus& one : status.requests) {
      Value entry = Value::object();
      entry.set("id", number(one.id))
          .set("state", Value::string(one.state))
          .set("prompt_done", number(one.prompt_done))
          .set("prompt_total", number(one.prompt_tokens))
          .set("generated", number(one.generated_tokens));
      requests.push(std::move(entry));
    }
    Value body = Value::object();
    body.set("model", Value::string(card_.name()))
        .set("version", Value::string(HADAL_SERVER_VERSION))
        .set("uptime_s", Value::number(steady_s() - started_s_))
        .set("running", number(status.running))
        .set("waiting", number(status.waiting))
        .set("tokens_per_s", Value::number(status.tokens_per_s))
        .set("prompt_tokens_per_s", Value::number(status.prompt_tokens_per_s))
        .set("connections", number(http_->n_connections()))
        .set("cache", std::move(cache))
        .set("memory", Value::array({std::move(memory)}))
        .set("requests", std::move(requests));
    return body;
  }

  ApiServerOptions options_;
  std::unique_ptr<http::Server> http_;  // goes last: what the service's sinks hold are its exchanges
  std::unique_ptr<GenerationService> service_;
  ModelCard card_;
  GrammarCache grammars_;
  Metrics metrics_;
  RateLimits limits_;
  ResponseStore store_;
  ReplayStore replays_;
  std::atomic<bool> is_draining_ = false;
  double started_s_;
};

ApiServer::ApiServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ApiServer::~ApiServer() = default;

Result<std::unique_ptr<ApiServer>> ApiServer::start(Engine engine, ApiServerOptions options) {
  if (options.keys.is_empty() && !is_loopback(options.http.address)) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "others can reach this address, and there is no key",
                 .in = "--host",
                 .want = "a loopback address, or keys",
                 .found = options.http.address,
                 .hint = "give a key: --api-keys FILE, or HADAL_API_KEY in the environment"};
  }
  HADAL_ASSIGN(std::unique_ptr<GenerationService> service,
               GenerationService::start(std::move(engine), options.service));
  auto impl = std::make_unique<Impl>(std::move(service), std::move(options));
  HADAL_TRY(impl->listen());
  return std::make_unique<ApiServer>(std::move(impl));
}

uint16_t ApiServer::port() const {
  return impl_->port();
}
ServiceStatus ApiServer::status() const {
  return impl_->status();
}
void ApiServer::shut_down(double seconds) {
  impl_->shut_down(seconds);
}

}  // namespace hadal::server
