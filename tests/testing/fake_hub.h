// A hub on loopback that serves one repository, and that a test can make lie, stall, cut off and redirect.
//
// One thread a connection, one request a connection. What is sent is what the handler says, down to wrong lengths: it
// gets the request and the honest answer, which it may change.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "base/json.h"

namespace hadal::test {

class FakeHub {
 public:
  static constexpr std::string_view kCommit = "0123456789abcdef0123456789abcdef01234567";

  struct Request {
    std::string path;
    std::string range;          // "bytes=0-1023"
    std::string authorization;  // "Bearer ..."
    bool is_file() const { return path.find("/resolve/") != std::string::npos; }
  };
  struct Answer {
    int status = 200;
    std::vector<std::string> headers;
    std::string body;
    std::optional<size_t> length = std::nullopt;      // what Content-Length says, if it lies
    std::optional<size_t> sent_bytes = std::nullopt;  // of the body, before the connection is cut off...
    bool stalls = false;                              // ... or goes silent, until the client or the hub leaves
  };
  using Change = std::function<void(const Request&, Answer&)>;

  // Files by path. Those that end in .safetensors or .gguf are git-lfs's, with SHA-256; others are git's own.
  explicit FakeHub(std::map<std::string, std::string> files, Change change = nullptr)
      : files_(std::move(files)), change_(std::move(change)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, any, size) != 0 || ::listen(listener_, 64) != 0) std::abort();
    if (::getsockname(listener_, any, &size) != 0) std::abort();
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { accept_all(); });
  }
  ~FakeHub() {
    is_over_ = true;
    thread_.join();
    for (std::thread& connection : connections_) connection.join();
    ::close(listener_);
  }
  FakeHub(const FakeHub&) = delete;
  FakeHub& operator=(const FakeHub&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  // Bytes of files that were sent.
  uint64_t sent_file_bytes() const { return sent_file_bytes_; }
  // The body of the answer about the repository, for tests that change it.
  std::string listing() const {
    json::Value siblings = json::Value::array();
    for (const auto& [path, text] : files_) {
      json::Value file = json::Value::object();
      file.set("rfilename", json::Value::string(path));
      file.set("size", json::Value::number(static_cast<int64_t>(text.size())));
      GitBlobHasher hasher(text.size());
      hasher.update(std::as_bytes(std::span(text)));
      file.set("blobId", json::Value::string(to_hex(hasher.finish())));
      if (path.ends_with(".safetensors") || path.ends_with(".gguf")) {
        json::Value lfs = json::Value::object();
        lfs.set("sha256", json::Value::string(to_hex(sha256(text))));
        lfs.set("size", json::Value::number(static_cast<int64_t>(text.size())));
        file.set("lfs", std::move(lfs));
      }
      siblings.push(std::move(file));
    }
    json::Value value = json::Value::object();
    value.set("sha", json::Value::string(kCommit));
    value.set("siblings", std::move(siblings));
    return json::dump(value);
  }

 private:
  void accept_all() {
    while (!is_over_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (::poll(&waiting, 1, 20) <= 0) continue;
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) connections_.emplace_back([this, fd] { serve(fd); });
    }
  }

  static std::string header(const std::string& text, const std::string& name) {
    const size_t at = text.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const size_t begin = at + name.size() + 4;
    return text.substr(begin, text.find("\r\n", begin) - begin);
  }

  void serve(int fd) {
    std::string text;
    char buffer[4096];
    while (text.find("\r\n\r\n") == std::string::npos) {
      const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
      if (n <= 0) {
        ::close(fd);
        return;
      }
      text.append(buffer, static_cast<size_t>(n));
    }
    Request request;
    request.path = text.substr(4, text.find(' ', 4) - 4);  // "GET /path HTTP/1.1"
    request.range = header(text, "Range");
    request.authorization = header(text, "Authorization");
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    Answer answer = honest(request);
    if (change_) change_(request, answer);
    send_answer(fd, request, answer);
    ::close(fd);
  }

  Answer honest(const Request& request) const {
    Answer answer;
    if (request.path.starts_with("/api/models/")) {
      answer.body = listing();
      return answer;
    }
    const std::string before = "/resolve/" + std::string(kCommit) + "/";
    const size_t at = request.path.find(before);
    const auto file = at == std::string::npos ? files_.end() : files_.find(request.path.substr(at + before.size()));
    if (file == files_.end()) {
      answer.status = 404;
      return answer;
    }
    size_t first = 0;
    size_t last = 0;
    if (std::sscanf(request.range.c_str(), "bytes=%zu-%zu", &first, &last) != 2) {
      answer.body = file->second;
      return answer;
    }
    answer.status = 206;
    answer.body = file->second.substr(first, last - first + 1);
    answer.headers.push_back("Content-Range: bytes " + std::to_string(first) + "-" + std::to_string(last) + "/" +
                             std::to_string(file->second.size()));
    return answer;
  }

  void send_answer(int fd, const Request& request, const Answer& answer) {
    std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " Word\r\nConnection: close\r\nContent-Length: " +
                       std::to_string(answer.length.value_or(answer.body.size())) + "\r\n";
    for (const std::string& line : answer.headers) head += line + "\r\n";
    const size_t n = std::min(answer.sent_bytes.value_or(answer.body.size()), answer.body.size());
    const std::string all = head + "\r\n" + answer.body.substr(0, n);
    for (size_t at = 0; at < all.size();) {
      const ssize_t sent = ::send(fd, all.data() + at, all.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return;
      at += static_cast<size_t>(sent);
    }
    if (request.is_file()) sent_file_bytes_ += n;
    if (!answer.stalls) return;
    pollfd peer{fd, POLLIN | POLLRDHUP, 0};
    while (!is_over_ && ::poll(&peer, 1, 20) == 0) {
    }
  }

  std::map<std::string, std::string> files_;
  Change change_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> is_over_ = false;
  std::atomic<uint64_t> sent_file_bytes_ = 0;
  mutable std::mutex mutex_;  // guards requests_
  std::vector<Request> requests_;
  std::list<std::thread> connections_;  // of the accepting thread, and of the destructor after it
  std::thread thread_;
};

}  // namespace hadal::test
