// `hadal serve`: requests of five APIs come in over HTTP and answers go out; everything between is elsewhere.
//
//   http::Server -> routes (this) -> api::parse_* -> prepare_answer -> GenerationService
//                                                                          |
//   http::Exchange <- api::AnswerWriter <- AnswerSession <-----------------'
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/service/generation_service.h"
#include "server/answer_prompt.h"
#include "server/http/http_server.h"
#include "server/keys.h"

namespace hadal::server {

struct ApiServerOptions {
  http::ServerOptions http;
  ServiceOptions service;
  AnswerDefaults answers;
  KeyRing keys;
  std::string model_name;
  std::vector<std::string> aliases;
  std::vector<std::string> cors_origins;  // "*": all
  bool shares_cache = false;              // between keys
  bool strict_params = false;             // unknown fields are refused
  bool vllm_metrics = false;
  double keep_alive_s = 10;
  std::function<void(const std::string& line)> log;  // one JSON text for each request; any thread
};

class ApiServer {
 public:
  // Listens and answers from now on. Errors: of Server::listen and GenerationService::start; Invalid: an address that
  // others can reach, without a key.
  static Result<std::unique_ptr<ApiServer>> start(Engine engine, ApiServerOptions options);
  ~ApiServer();

  uint16_t port() const;
  ServiceStatus status() const;
  // Not ready any more, nothing new is taken; what runs may end within `seconds`, then it is ended.
  void shut_down(double seconds);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;

 public:
  explicit ApiServer(std::unique_ptr<Impl> impl);  // for start()
};

}  // namespace hadal::server
