#include "server/http/http_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <deque>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include "server/http/http_server.h"

namespace hadal::http {
namespace {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using TlsStream = asio::ssl::stream<tcp::socket>;

constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kPipelinedBytes = 256 << 10;  // read ahead of an answer that is still being made
constexpr auto kTick = std::chrono::seconds(1);
constexpr double kLinger_s = 2;  // for the client to read a refusal of what it still sends

double seconds_between(Clock::time_point a, Clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

std::string_view reason_of(int status) {
  const boost::beast::string_view reason = beast_http::obsolete_reason(static_cast<beast_http::status>(status));
  return {reason.data(), reason.size()};
}

// Counts connections, in all and by address.
class Connections {
 public:
  Connections(size_t max, size_t per_address_max) : max_(max), per_address_max_(per_address_max) {}
  bool enter(const std::string& address) {
    const std::lock_guard lock(mutex_);
    if (n_ >= max_ || by_address_[address] >= per_address_max_) return false;
    ++n_;
    ++by_address_[address];
    return true;
  }
  void leave(const std::string& address) {
    const std::lock_guard lock(mutex_);
    --n_;
    if (--by_address_[address] == 0) by_address_.erase(address);
  }
  size_t n() const {
    const std::lock_guard lock(mutex_);
    return n_;
  }

 private:
  size_t max_, per_address_max_;
  mutable std::mutex mutex_;
  size_t n_ = 0;
  std::map<std::string, size_t> by_address_;
};

struct Shared {
  Shared(const ServerOptions& o, Server::HeadCheck c, Server::Handler h)
      : options(o),
        check(std::move(c)),
        handler(std::move(h)),
        connections(o.connections_max, o.connections_per_address_max) {}
  ServerOptions options;
  Server::HeadCheck check;
  Server::Handler handler;
  Connections connections;
};

// What an Exchange asks of its connection, whatever the stream. All on the connection's strand.
class ConnectionBase : public std::enable_shared_from_this<ConnectionBase> {
 public:
  virtual ~ConnectionBase() = default;
  virtual void post(std::function<void()> task) = 0;
  virtual void respond(int64_t request, Response response) = 0;
  virtual void begin(int64_t request, int status, const std::string& content_type, const Headers& headers) = 0;
  virtual void write(int64_t request, const std::string& bytes) = 0;
  virtual void end(int64_t request) = 0;
  virtual void abort(int64_t request) = 0;
  virtual void keep_alive(int64_t request, double seconds, std::string bytes) = 0;
  virtual void on_gone(int64_t request, std::function<void()> callback) = 0;
  virtual void on_backlog(int64_t request, std::function<void(bool)> callback) = 0;
};

class ExchangeImpl final : public Exchange {
 public:
  ExchangeImpl(std::shared_ptr<ConnectionBase> connection, int64_t request)
      : connection_(std::move(connection)), request_(request) {}
  // Whoever lets an exchange go without an answer leaves a client that waits: better to break the connection.
  ~ExchangeImpl() override { abort(); }

  void respond(Response response) override {
    post([response = std::move(response)](ConnectionBase& c, int64_t r) mutable { c.respond(r, std::move(response)); });
  }
  void begin(int status, std::string content_type, Headers headers) override {
    post([status, content_type = std::move(content_type), headers = std::move(headers)](ConnectionBase& c, int64_t r) {
      c.begin(r, status, content_type, headers);
    });
  }
  void write(std::string bytes) override {
    post([bytes = std::move(bytes)](ConnectionBase& c, int64_t r) { c.write(r, bytes); });
  }
  void end() override {
    post([](ConnectionBase& c, int64_t r) { c.end(r); });
  }
  void abort() override {
    post([](ConnectionBase& c, int64_t r) { c.abort(r); });
  }
  void run(std::function<void()> task) override { connection_->post(std::move(task)); }
  void keep_alive(double seconds, std::string bytes) override {
    post([seconds, bytes = std::move(bytes)](ConnectionBase& c, int64_t r) { c.keep_alive(r, seconds, bytes); });
  }
  void on_gone(std::function<void()> callback) override {
    post([callback = std::move(callback)](ConnectionBase& c, int64_t r) { c.on_gone(r, callback); });
  }
  void on_backlog(std::function<void(bool)> callback) override {
    post([callback = std::move(callback)](ConnectionBase& c, int64_t r) { c.on_backlog(r, callback); });
  }

 private:
  template <class Task>
  void post(Task task) {
    connection_->post([connection = connection_, request = request_, task = std::move(task)]() mutable {
      task(*connection, request);
    });
  }
  std::shared_ptr<ConnectionBase> connection_;
  int64_t request_;
};

tcp::socket& socket_of(tcp::socket& stream) {
  return stream;
}
tcp::socket& socket_of(TlsStream& stream) {
  return stream.next_layer();
}

template <class Stream>
class Connection final : public ConnectionBase {
 public:
  Connection(Stream stream, std::shared_ptr<Shared> shared, std::string peer)
      : stream_(std::move(stream)),
        timer_(socket_of(stream_).get_executor()),
        shared_(std::move(shared)),
        peer_(std::move(peer)) {}
  ~Connection() override { shared_->connections.leave(peer_); }

  void start() {
    since_ = Clock::now();
    tick();
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      stream_.async_handshake(asio::ssl::stream_base::server, [self = self()](error_code ec) {
        if (ec) return self->close();
        self->since_ = Clock::now();
        self->read();
      });
    } else {
      read();
    }
  }

  void post(std::function<void()> task) override { asio::post(socket_of(stream_).get_executor(), std::move(task)); }

  // --- what an exchange asks
  // ------------------------------------------------------------------------------------------

  void respond(int64_t request, Response response) override {
    if (!answers(request) || is_streaming_) return;
    send_head(response.status, response.content_type, response.headers, response.body.size(), response.closes);
    if (!is_head_request_) send(std::move(response.body));
    finish_answer(!response.closes);
  }

  void begin(int64_t request, int status, const std::string& content_type, const Headers& headers) override {
    if (!answers(request) || is_streaming_) return;
    send_head(status, content_type, headers, std::nullopt, false);
    is_streaming_ = true;
  }

  void write(int64_t request, const std::string& bytes) override {
    if (!answers(request) || !is_streaming_ || bytes.empty()) return;
    is_chunked_ ? send(fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes)) : send(bytes);
  }

  void end(int64_t request) override {
    if (!answers(request) || !is_streaming_) return;
    if (is_chunked_) send("0\r\n\r\n");
    finish_answer(is_chunked_);
  }

  void abort(int64_t request) override {
    if (answers(request)) close();
  }

  void keep_alive(int64_t request, double seconds, std::string bytes) override {
    if (!answers(request)) return;
    keep_alive_s_ = seconds;
    keep_alive_bytes_ = std::move(bytes);
  }

  void on_gone(int64_t request, std::function<void()> callback) override {
    if (request != request_) return;
    if (is_closed_ && is_answering_) return callback();
    if (is_answering_) gone_ = std::move(callback);
  }

  void on_backlog(int64_t request, std::function<void(bool)> callback) override {
    if (answers(request)) backlog_ = std::move(callback);
  }

 private:
  std::shared_ptr<Connection> self() { return std::static_pointer_cast<Connection>(shared_from_this()); }
  bool answers(int64_t request) const { return request == request_ && is_answering_ && !is_closed_; }
  const ServerOptions& options() const { return shared_->options; }

  // --- reading
  // --------------------------------------------------------------------------------------------------------

  void read() {
    if (is_reading_ || is_closed_ || (is_answering_ && buffer_.size() >= kPipelinedBytes)) return;
    is_reading_ = true;
    stream_.async_read_some(buffer_.prepare(kReadBytes), [self = self()](error_code ec, size_t n) {
      self->is_reading_ = false;
      if (self->is_closed_) return;
      if (ec) return self->close();
      if (self->lingers_) return self->read();
      self->buffer_.commit(n);
      if (self->is_answering_) return self->read();
      self->parse();
    });
  }

  void parse() {
    while (!is_closed_ && !is_answering_ && !lingers_ && buffer_.size() > 0) {
      if (!parser_) {
        parser_.emplace();
        parser_->header_limit(static_cast<uint32_t>(options().header_bytes_max));
        parser_->body_limit(options().body_bytes_max);
        parser_->eager(true);
        is_head_done_ = false;
        since_ = Clock::now();
      }
      if (!is_head_done_ && has_folded_line()) return refuse(400, "a header is folded over two lines");
      error_code ec;
      const size_t n = parser_->put(buffer_.data(), ec);
      buffer_.consume(n);
      if (ec && ec != beast_http::error::need_more) return refuse_parse(ec);
      if (parser_->is_header_done() && !is_head_done_) {
        is_head_done_ = true;
        since_ = Clock::now();
        if (!take_head()) return;
      }
      if (parser_->is_done()) return take_request();
      if (ec == beast_http::error::need_more && n == 0) break;
    }
    read();
  }

  // Beast joins folded lines; RFC 9112 lets a server refuse them, and two readers may disagree about them.
  bool has_folded_line() const {
    const std::string_view head(static_cast<const char*>(buffer_.data().data()), buffer_.size());
    const size_t end = head.find("\r\n\r\n");
    const std::string_view lines = head.substr(0, end);
    return lines.find("\n ") != std::string_view::npos || lines.find("\n\t") != std::string_view::npos;
  }

  void refuse_parse(error_code ec) {
    if (ec == beast_http::error::header_limit) return refuse(431, "the headers are too long");
    if (ec == beast_http::error::body_limit) {
      return refuse(413, fmt::format("the body is longer than {} bytes", options().body_bytes_max));
    }
    refuse(400, fmt::format("this is not HTTP/1.1: {}", ec.message()));
  }

  void refuse(int status, std::string_view what) {
    is_head_request_ = false;
    version_ = 11;
    wants_keep_alive_ = false;
    ++request_;
    is_answering_ = true;
    Response response = framing_error(status, what);
    respond(request_, std::move(response));
  }

  // False: the request is answered, or the connection closed, without its body.
  bool take_head() {
    const auto& head = parser_->get();
    version_ = head.version();
    wants_keep_alive_ = head.keep_alive();
    is_head_request_ = head.method() == beast_http::verb::head;
    pending_ = Request();
    pending_.method = std::string(head.method_string());
    pending_.peer = peer_;
    const std::string_view target(head.target().data(), head.target().size());
    if (target.size() > options().target_bytes_max) return refuse(414, "the address is too long"), false;
    const size_t question = target.find('?');
    pending_.path = percent_decoded(target.substr(0, question));
    if (question != std::string_view::npos) pending_.query = std::string(target.substr(question + 1));
    for (const auto& field : head) {
      std::string name(field.name_string());
      std::transform(name.begin(), name.end(), name.begin(),
                     [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c; });
      pending_.headers.emplace_back(std::move(name), std::string(field.value()));
      if (pending_.headers.size() > options().headers_max) return refuse(431, "there are too many headers"), false;
    }
    if (version_ == 11 && pending_.header("host").empty()) return refuse(400, "the Host header is missing"), false;
    // Beast takes "5, 5" for 5; others may not.
    const std::string_view length = pending_.header("content-length");
    if (length.find_first_not_of("0123456789") != std::string_view::npos)
      return refuse(400, "the length is no number"), false;
    const std::string_view coding = pending_.header("content-encoding");
    if (!coding.empty() && coding != "identity") return refuse(415, "bodies must not be compressed"), false;

    if (std::optional<Response> answer = shared_->check(pending_)) {
      const bool has_body = !parser_->is_done();
      answer->closes = answer->closes || has_body;
      ++request_;
      is_answering_ = true;
      const bool goes_on = !answer->closes;
      respond(request_, std::move(*answer));
      if (goes_on) parse();
      return false;
    }
    if (pending_.header("expect") == "100-continue" && !parser_->is_done()) send("HTTP/1.1 100 Continue\r\n\r\n");
    return true;
  }

  void take_request() {
    pending_.body = std::move(parser_->get().body());
    parser_.reset();
    ++request_;
    is_answering_ = true;
    is_streaming_ = false;
    read();  // so that a client that leaves is noticed
    shared_->handler(std::move(pending_), std::make_shared<ExchangeImpl>(self(), request_));
  }

  // --- writing
  // --------------------------------------------------------------------------------------------------------

  void send_head(int status, const std::string& content_type, const Headers& headers, std::optional<size_t> length,
                 bool closes) {
    is_chunked_ = !length && version_ == 11;
    wants_keep_alive_ = wants_keep_alive_ && !closes && (length || is_chunked_);
    std::string head = fmt::format("HTTP/1.1 {} {}\r\n", status, reason_of(status));
    if (!content_type.empty()) head += fmt::format("content-type: {}\r\n", content_type);
    for (const auto& [name, value] : headers) head += fmt::format("{}: {}\r\n", name, value);
    if (length && status != 204) head += fmt::format("content-length: {}\r\n", *length);
    if (is_chunked_) head += "transfer-encoding: chunked\r\n";
    head += wants_keep_alive_ ? "connection: keep-alive\r\n\r\n" : "connection: close\r\n\r\n";
    send(std::move(head));
  }

  void finish_answer(bool keeps_alive) {
    is_answering_ = false;
    is_streaming_ = false;
    keep_alive_s_ = 0;
    gone_ = nullptr;
    backlog_ = nullptr;
    parser_.reset();
    since_ = Clock::now();
    closes_ = !(keeps_alive && wants_keep_alive_);
    if (closes_) {
      if (out_.empty()) linger();
      return;
    }
    // Not from here: the answer may come from inside the handler of the last request.
    post([self = self()] { self->buffer_.size() > 0 ? self->parse() : self->read(); });
  }

  void send(std::string bytes) {
    if (bytes.empty() || is_closed_) return;
    if (out_.empty()) progress_ = Clock::now();
    out_bytes_ += bytes.size();
    out_.push_back(std::move(bytes));
    sent_ = Clock::now();
    report_backlog();
    if (!is_writing_) write_next();
  }

  void write_next() {
    is_writing_ = true;
    asio::async_write(stream_, asio::buffer(out_.front()), [self = self()](error_code ec, size_t) {
      self->is_writing_ = false;
      if (self->is_closed_) return;
      if (ec) return self->close();
      self->out_bytes_ -= self->out_.front().size();
      self->out_.pop_front();
      self->progress_ = Clock::now();
      self->report_backlog();
      if (!self->out_.empty()) return self->write_next();
      if (self->closes_) self->linger();
    });
  }

  void report_backlog() {
    const bool is_full = is_full_ ? out_bytes_ > options().backlog_bytes / 4 : out_bytes_ > options().backlog_bytes;
    if (is_full == is_full_) return;
    is_full_ = is_full;
    if (backlog_) backlog_(is_full);
  }

  // --- time and end
  // ---------------------------------------------------------------------------------------------------

  void tick() {
    timer_.expires_after(kTick);
    timer_.async_wait([self = self()](error_code ec) {
      if (ec || self->is_closed_) return;
      self->check_deadlines();
      if (!self->is_closed_) self->tick();
    });
  }

  void check_deadlines() {
    const Clock::time_point now = Clock::now();
    const double waited_s = seconds_between(since_, now);
    if (lingers_) {
      if (waited_s > kLinger_s) close();
      return;
    }
    if (!out_.empty() && seconds_between(progress_, now) > options().write_s) return close();
    if (is_answering_) {
      if (is_streaming_ && keep_alive_s_ > 0 && out_.empty() && seconds_between(sent_, now) >= keep_alive_s_) {
        write(request_, keep_alive_bytes_);
      }
      return;
    }
    if (!parser_) {
      const double limit_s = request_ == 0 ? options().header_s : options().idle_s;
      if (waited_s > limit_s) close();
      return;
    }
    if (!is_head_done_) {
      if (waited_s > options().header_s) refuse(408, "the headers took too long");
      return;
    }
    const double mib = static_cast<double>(parser_->get().body().size()) / (1 << 20);
    if (waited_s > options().body_s + mib) refuse(408, "the body took too long");
  }

  void linger() {
    lingers_ = true;
    since_ = Clock::now();
    buffer_.clear();
    error_code ignored;
    socket_of(stream_).shutdown(tcp::socket::shutdown_send, ignored);
    read();
  }

  void close() {
    if (is_closed_) return;
    is_closed_ = true;
    timer_.cancel();
    error_code ignored;
    socket_of(stream_).shutdown(tcp::socket::shutdown_both, ignored);
    socket_of(stream_).close(ignored);
    if (is_answering_ && gone_) std::exchange(gone_, nullptr)();
    backlog_ = nullptr;
  }

  Stream stream_;
  asio::steady_timer timer_;
  std::shared_ptr<Shared> shared_;
  std::string peer_;
  boost::beast::flat_buffer buffer_;
  std::optional<beast_http::request_parser<beast_http::string_body>> parser_;
  Request pending_;
  Clock::time_point since_;     // the present state began: header, body, idle, linger
  Clock::time_point sent_;      // the last bytes were queued
  Clock::time_point progress_;  // the last bytes were taken by the client
  std::deque<std::string> out_;
  size_t out_bytes_ = 0;
  int64_t request_ = 0;  // counts the connection's requests
  unsigned version_ = 11;
  bool is_reading_ = false, is_writing_ = false, is_answering_ = false, is_streaming_ = false, is_chunked_ = false;
  bool is_head_done_ = false, is_head_request_ = false, wants_keep_alive_ = true, closes_ = false, lingers_ = false;
  bool is_closed_ = false, is_full_ = false;
  double keep_alive_s_ = 0;
  std::string keep_alive_bytes_;
  std::function<void()> gone_;
  std::function<void(bool)> backlog_;
};

class ServerImpl final : public Server {
 public:
  ServerImpl(const ServerOptions& options, HeadCheck check, Handler handler)
      : shared_(std::make_shared<Shared>(options, std::move(check), std::move(handler))),
        acceptor_(asio::make_strand(io_)),
        retry_(acceptor_.get_executor()) {}
  ~ServerImpl() override { stop(); }
  void stop() override {
    io_.stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  Result<void> open() {
    const ServerOptions& o = shared_->options;
    error_code ec;
    const auto failed = [&](std::string_view what, std::string_view hint) {
      return Error{.code = ErrorCode::kIo,
                   .what = std::string(what),
                   .in = fmt::format("{}:{}", o.address, o.port),
                   .want = "",
                   .found = ec.message(),
                   .hint = std::string(hint)};
    };
    const asio::ip::address address = asio::ip::make_address(o.address, ec);
    if (ec) return failed("this is no address to listen on", "give an IP address: 127.0.0.1, 0.0.0.0, ::1");
    const tcp::endpoint endpoint(address, o.port);
    acceptor_.open(endpoint.protocol(), ec);
    if (!ec) acceptor_.set_option(asio::socket_base::reuse_address(true), ec);
    if (!ec) acceptor_.bind(endpoint, ec);
    if (!ec) acceptor_.listen(4096, ec);
    if (ec) return failed("cannot listen on the address", "another program may have it; try another --port");
    port_ = acceptor_.local_endpoint(ec).port();
    if (!o.certificate_file.empty()) HADAL_TRY(load_certificate());
    accept();
    for (int i = 0; i < std::max(1, o.n_threads); ++i) threads_.emplace_back([this] { io_.run(); });
    return {};
  }

  uint16_t port() const override { return port_; }
  void stop_accepting() override {
    asio::post(acceptor_.get_executor(), [this] {
      error_code ignored;
      acceptor_.close(ignored);
    });
  }
  int64_t n_connections() const override { return static_cast<int64_t>(shared_->connections.n()); }

 private:
  Result<void> load_certificate() {
    const ServerOptions& o = shared_->options;
    tls_.emplace(asio::ssl::context::tls_server);
    tls_->set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1 | asio::ssl::context::no_sslv3);
    error_code ec;
    std::string file = o.certificate_file;
    tls_->use_certificate_chain_file(o.certificate_file, ec);
    if (!ec) {
      file = o.key_file;
      tls_->use_private_key_file(o.key_file, asio::ssl::context::pem, ec);
    }
    if (!ec) return {};
    return Error{.code = ErrorCode::kInvalid,
                 .what = "the certificate or its key cannot be used",
                 .in = file,
                 .want = "PEM files of a certificate chain and its private key",
                 .found = ec.message(),
                 .hint = ""};
  }

  void accept() {
    acceptor_.async_accept(asio::make_strand(io_), [this](error_code ec, tcp::socket socket) {
      if (!acceptor_.is_open()) return;
      if (ec) {  // out of descriptors, mostly: some may come back
        retry_.expires_after(std::chrono::milliseconds(100));
        retry_.async_wait([this](error_code stopped) {
          if (!stopped) accept();
        });
        return;
      }
      serve(std::move(socket));
      accept();
    });
  }

  void serve(tcp::socket socket) {
    error_code ec;
    const tcp::endpoint remote = socket.remote_endpoint(ec);
    if (ec) return;
    std::string peer = remote.address().to_string();
    if (!shared_->connections.enter(peer)) return;  // closes it
    socket.set_option(tcp::no_delay(true), ec);
    const asio::any_io_executor strand = socket.get_executor();
    if (tls_) {
      auto connection =
          std::make_shared<Connection<TlsStream>>(TlsStream(std::move(socket), *tls_), shared_, std::move(peer));
      asio::post(strand, [connection] { connection->start(); });
    } else {
      auto connection = std::make_shared<Connection<tcp::socket>>(std::move(socket), shared_, std::move(peer));
      asio::post(strand, [connection] { connection->start(); });
    }
  }

  std::shared_ptr<Shared> shared_;
  std::optional<asio::ssl::context> tls_;
  asio::io_context io_;
  tcp::acceptor acceptor_;  // a strand of its own, with the timer
  asio::steady_timer retry_;
  uint16_t port_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace

Response framing_error(int status, std::string_view what) {
  Response response;
  response.status = status;
  response.content_type = "application/json";
  response.body = fmt::format(R"({{"error":{{"message":"{}","type":"invalid_request_error","param":null,"code":{}}}}})",
                              what, status == 413 ? "\"request_too_large\"" : "null");
  response.closes = true;
  return response;
}

Result<std::unique_ptr<Server>> Server::listen(const ServerOptions& options, HeadCheck check, Handler handler) {
  auto server = std::make_unique<ServerImpl>(options, std::move(check), std::move(handler));
  HADAL_TRY(server->open());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace hadal::http
