// HTTP/1.1 over TCP or TLS: connections, framing, limits and deadlines. Knows nothing of models or APIs.
//
// Boost.Beast parses, Boost.Asio waits; neither is seen outside http_server.cpp (their headers take half a minute to
// compile). A few I/O threads serve all connections; each connection is a strand. Pipelined requests are answered in
// order, one at a time. A client that leaves is noticed while nothing is being sent, because a read is always pending.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "server/http/message.h"

namespace hadal::http {

struct ServerOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;  // 0: any that is free
  int n_threads = 2;
  std::string certificate_file, key_file;  // PEM; both or none: TLS 1.2 and newer

  size_t header_bytes_max = 64 << 10;
  size_t headers_max = 100;
  size_t target_bytes_max = 8 << 10;
  uint64_t body_bytes_max = 64 << 20;
  double header_s = 10;            // from its first byte, or from the connection's start
  double body_s = 60;              // and a second more for each MiB
  double idle_s = 75;              // between requests
  double write_s = 120;            // without progress while something waits to be sent
  size_t backlog_bytes = 1 << 20;  // of one connection: beyond it the answer's maker is asked to pause
  size_t connections_max = 4096;
  size_t connections_per_address_max = 1024;
};

// The answer to one request. Any thread may call, in any order of threads but not at once from two; calls after the
// end, or after the client has gone, do nothing.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual void respond(Response response) = 0;
  // A stream: begin once, write any number of times, end. abort() breaks the connection, so that the client sees that
  // the stream is incomplete.
  virtual void begin(int status, std::string content_type, Headers headers) = 0;
  virtual void write(std::string bytes) = 0;
  virtual void end() = 0;
  virtual void abort() = 0;
  // Runs a task on the connection's strand, behind the calls before it: one task of a connection at a time. Also when
  // the client has gone.
  virtual void run(std::function<void()> task) = 0;
  // From now on, whenever nothing was sent for so long, these bytes are; only inside a stream.
  virtual void keep_alive(double seconds, std::string bytes) = 0;

  // Called at most once, on an I/O thread, when the client has gone before the end. At once if it has.
  virtual void on_gone(std::function<void()> callback) = 0;
  // Called on an I/O thread when the client does not read what is sent (true) and when it does again (false).
  virtual void on_backlog(std::function<void(bool)> callback) = 0;
};

class Server {
 public:
  // A request with its body. On an I/O thread: must not wait.
  using Handler = std::function<void(Request, std::shared_ptr<Exchange>)>;
  // A request in front of its body: an answer here is the answer, and the body is not read.
  using HeadCheck = std::function<std::optional<Response>(const Request&)>;

  // Listens and serves until it is destroyed. Io: the address cannot be had; Invalid: certificate or key.
  static Result<std::unique_ptr<Server>> listen(const ServerOptions& options, HeadCheck check, Handler handler);
  virtual ~Server() = default;

  virtual uint16_t port() const = 0;
  virtual void stop_accepting() = 0;
  // Ends the I/O threads: no callback comes any more. Exchanges that somebody still holds do nothing, and must be gone
  // before the server is.
  virtual void stop() = 0;
  virtual int64_t n_connections() const = 0;
};

// An error of the framing itself, which no handler sees; text/plain.
Response framing_error(int status, std::string_view what);

}  // namespace hadal::http
