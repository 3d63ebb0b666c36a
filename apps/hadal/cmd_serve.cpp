// hadal serve [MODEL]: the APIs on a socket, until a signal says to stop.

#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "command_line.h"
#include "commands.h"
#include "device/cpu/host_memory.h"
#include "model_options.h"
#include "server/api_server.h"
#include "terminal/output.h"

namespace hadal::cli {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;
// Of what is free behind the model, when nothing is said: as much for prefixes as for running sequences.
constexpr uint64_t kMemoryShare = 4;
constexpr int64_t kDefaultContext = 32768;

struct ServeOptions {
  ModelOptions model;
  std::string host = "127.0.0.1";
  int port = 8080;
  std::string name;
  std::vector<std::string> aliases;
  std::string api_keys;
  std::string tls_certificate, tls_key;
  std::vector<std::string> cors_origins;
  std::string think = "on";
  int64_t parallel = 64;
  int64_t queue = 256;
  int64_t cache_mib = 0, context_mib = 0;
  double step_ms = 0;
  double drain_s = 60;
  bool share_cache = false, strict_params = false, vllm_metrics = false, log = false;

  void add_to(CLI::App& command);
};

void ServeOptions::add_to(CLI::App& command) {
  model.add_to(command, true);
  command.add_option("--host", host, "Address to listen on; others than loopback need a key")
      ->capture_default_str()
      ->type_name("ADDRESS");
  command.add_option("--port", port, "Port; 0: any that is free")
      ->capture_default_str()
      ->check(CLI::Range(0, 65535))
      ->type_name("N");
  command.add_option("--name", name, "What clients call the model; default: the name of its folder")->type_name("NAME");
  command.add_option("--alias", aliases, "Another name that is taken for it")->type_name("NAME");
  command.add_option("--think", think, "Reasoning when a request does not say")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();

  const auto safety = "Access";
  command
      .add_option("--api-keys", api_keys, "File of keys, mode 0600: name:SHA-256[:class[:requests/min[:tokens/min]]]")
      ->type_name("FILE")
      ->group(safety);
  command.add_option("--tls-cert", tls_certificate, "Certificate chain, PEM")->type_name("FILE")->group(safety);
  command.add_option("--tls-key", tls_key, "Its private key, PEM")->type_name("FILE")->group(safety);
  command.add_option("--cors-origin", cors_origins, "Origin whose pages may call; '*': all")
      ->type_name("ORIGIN")
      ->group(safety);
  command.add_flag("--share-cache", share_cache, "Keys share the prefix cache: one can tell what another has sent")
      ->group(safety);
  command.add_flag("--strict-params", strict_params, "Refuse unknown fields of requests")->group(safety);

  const auto work = "Work";
  command.add_option("--parallel", parallel, "Sequences at a time")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str()
      ->type_name("N")
      ->group(work);
  command.add_option("--queue", queue, "Requests that may wait; more are refused (429)")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str()
      ->type_name("N")
      ->group(work);
  command.add_option("--cache-memory", cache_mib, "Prefix cache; default: a quarter of what is free")
      ->type_name("MIB")
      ->group(work);
  command.add_option("--context-memory", context_mib, "Running sequences; default: a quarter of what is free")
      ->type_name("MIB")
      ->group(work);
  command.add_option("--step-ms", step_ms, "How long running answers may wait for others' prompts; 0: twice a step")
      ->type_name("MS")
      ->group(work);
  command.add_option("--drain", drain_s, "Seconds that running answers get when the server is stopped")
      ->capture_default_str()
      ->type_name("S")
      ->group(work);

  const auto watch = "Watching";
  command.add_flag("--log", log, "A line of JSON for each request, on standard error; never its text")->group(watch);
  command.add_flag("--vllm-metrics", vllm_metrics, "Metrics under vLLM's names as well")->group(watch);
}

std::string model_name(const ServeOptions& options) {
  if (!options.name.empty()) return options.name;
  if (options.model.model.empty()) return "v4-tiny";
  std::string path = options.model.model;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return fs::path(path).filename().string();
}

Result<server::KeyRing> read_keys(const ServeOptions& options) {
  if (!options.api_keys.empty()) return server::KeyRing::read(options.api_keys);
  const char* const key = std::getenv("HADAL_API_KEY");
  if (key != nullptr && *key != '\0') return server::KeyRing::of(key);
  return server::KeyRing();
}

uint64_t memory_of(int64_t mib) {
  if (mib > 0) return static_cast<uint64_t>(mib) << 20;
  return host_memory().available_bytes / kMemoryShare;
}

// 4,096 connections need as many descriptors.
void raise_descriptor_limit() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Signals are waited for by the main thread; no other gets them.
class StopSignalWait {
 public:
  StopSignalWait() {
    sigemptyset(&signals_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  }
  ~StopSignalWait() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  void wait() const {
    int signal = 0;
    sigwait(&signals_, &signal);
  }
  // From now on the next one ends the program at once.
  void release() const { pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr); }

 private:
  sigset_t signals_ = {};
  sigset_t before_ = {};
};

Result<int> serve(const ServeOptions& options) {
  HADAL_ASSIGN(server::KeyRing keys, read_keys(options));
  HADAL_ASSIGN(const std::shared_ptr<const LoadedModel> model, options.model.load());
  EngineOptions engine_options = options.model.engine_options(model->description);
  if (options.model.context == 0) {
    engine_options.context_tokens = std::min(kDefaultContext, model->description.context_tokens_max);
  }
  raise_descriptor_limit();
  // Before threads are started: they inherit the mask.
  const StopSignalWait signals;
  HADAL_ASSIGN(Engine engine, Engine::create(model, engine_options));

  server::ApiServerOptions api;
  api.http.address = options.host;
  api.http.port = static_cast<uint16_t>(options.port);
  api.http.certificate_file = options.tls_certificate;
  api.http.key_file = options.tls_key;
  api.service.cache_bytes = memory_of(options.cache_mib);
  api.service.scheduler.memory_bytes = memory_of(options.context_mib);
  api.service.scheduler.running_max = options.parallel;
  api.service.scheduler.waiting_max = options.queue;
  api.service.scheduler.step_s = options.step_ms / 1000;
  api.answers.thinking = options.think == "on";
  api.model_name = model_name(options);
  api.aliases = options.aliases;
  api.cors_origins = options.cors_origins;
  api.shares_cache = options.share_cache;
  api.strict_params = options.strict_params;
  api.vllm_metrics = options.vllm_metrics;
  const bool has_keys = !keys.is_empty();
  api.keys = std::move(keys);
  auto log_lock = std::make_shared<std::mutex>();
  if (options.log) {
    api.log = [log_lock](const std::string& line) {
      const std::lock_guard lock(*log_lock);
      write_notice(line + "\n");
    };
  }
  const uint64_t cache_bytes = api.service.cache_bytes, context_bytes = api.service.scheduler.memory_bytes;
  const std::string name = api.model_name;
  HADAL_ASSIGN(const std::unique_ptr<server::ApiServer> running,
               server::ApiServer::start(std::move(engine), std::move(api)));

  const std::string scheme = options.tls_certificate.empty() ? "http" : "https";
  const std::string host = options.host.find(':') == std::string::npos ? options.host : "[" + options.host + "]";
  HADAL_TRY(write_output(stdout, fmt::format("Serving {} at {}://{}:{}  (OpenAI: /v1, Anthropic: /, Ollama: /)\n", name,
                                             scheme, host, running->port())));
  HADAL_TRY(write_output(
      stdout, fmt::format("  context {} tokens, sequences {:.0f} MiB, prefix cache {:.0f} MiB, {}\n",
                          engine_options.context_tokens, static_cast<double>(context_bytes) / kMiB,
                          static_cast<double>(cache_bytes) / kMiB, has_keys ? "API key required" : "no API key")));
  std::fflush(stdout);
  signals.wait();
  write_notice("Stopping: answers that run may end; press Ctrl-C again to stop at once.\n");
  signals.release();
  running->shut_down(options.drain_s);
  return 0;
}

}  // namespace

void add_serve_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* command = app.add_subcommand("serve", "Serve a model: OpenAI, Anthropic and Ollama APIs");
  options->add_to(*command);
  command->footer(
      "Examples:\n"
      "  hadal serve                                        the embedded model at http://127.0.0.1:8080\n"
      "  hadal serve ./DeepSeek-V4-Flash --context 131072\n"
      "  HADAL_API_KEY=secret hadal serve ./DeepSeek-V4-Flash --host 0.0.0.0");
  command->callback([options, &action] { action = [options] { return serve(*options); }; });
}

}  // namespace hadal::cli
