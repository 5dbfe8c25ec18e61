// Test doubles for the server's tests: a client that sends any bytes and reads what comes back, and
// streams and deferred responses that a test steers. Test thread unless said otherwise.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "http/server.h"

namespace yunqi {

struct RawResponse {
  int status = 0;  // 0: the connection ended before a whole response
  HttpHeaders headers;
  std::string body;
  const std::string* header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return &value;
    }
    return nullptr;
  }
};

class RawClient {
 public:
  explicit RawClient(uint16_t port, int receive_buffer = 0) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) set(SO_RCVBUF, receive_buffer);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  RawClient(RawClient&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_), in_(other.in_) {}
  RawClient& operator=(RawClient&&) = delete;
  ~RawClient() { close(); }

  bool connected() const { return connected_; }
  // False when the server does not take all of it.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return true;
  }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void half_close() { ::shutdown(fd_, SHUT_WR); }

  // The next response; `to_head` when it answers HEAD.
  RawResponse response(bool to_head = false) {
    RawResponse out;
    size_t end = 0;
    while ((end = in_.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return out;
    }
    const std::string head = take(end + 4);
    parse_head(head, out);
    const int status = std::exchange(out.status, 0);
    const std::string* length = out.header("content-length");
    bool whole = true;
    if (to_head || status == 204 || status == 100) {
    } else if (length != nullptr) {
      whole = read_exactly(std::strtoull(length->c_str(), nullptr, 10), out.body);
    } else if (out.header("transfer-encoding") != nullptr) {
      whole = read_chunks(out.body);
    } else {
      while (more()) {
      }
      out.body = take(in_.size());
    }
    if (whole) out.status = status;
    return out;
  }

  // Reads until `text` came; false when the connection ends before.
  bool await(std::string_view text) {
    size_t at = 0;
    while ((at = in_.find(text)) == std::string::npos) {
      if (!more()) return false;
    }
    take(at + text.size());
    return true;
  }
  // Whether something can be read now.
  bool ready() const {
    pollfd state{.fd = fd_, .events = POLLIN, .revents = 0};
    return ::poll(&state, 1, 0) > 0;
  }
  // True once the server has closed; drops what comes before.
  bool closed() {
    while (more()) in_.clear();
    return ended_;
  }

 private:
  void set(int option, int value) { ::setsockopt(fd_, SOL_SOCKET, option, &value, sizeof value); }
  bool more() {
    char piece[16 << 10];
    const ssize_t count = ::recv(fd_, piece, sizeof piece, 0);
    if (count > 0) in_.append(piece, static_cast<size_t>(count));
    if (count == 0 || (count < 0 && errno == ECONNRESET)) ended_ = true;
    return count > 0;
  }
  std::string take(size_t count) {
    std::string out = in_.substr(0, count);
    in_.erase(0, count);
    return out;
  }
  bool read_exactly(size_t count, std::string& out) {
    while (in_.size() < count) {
      if (!more()) return false;
    }
    out += take(count);
    return true;
  }
  bool read_line(std::string& out) {
    size_t end = 0;
    while ((end = in_.find("\r\n")) == std::string::npos) {
      if (!more()) return false;
    }
    out = take(end + 2);
    return true;
  }
  bool read_chunks(std::string& body) {
    std::string line, ignored;
    while (read_line(line)) {
      const size_t size = std::strtoull(line.c_str(), nullptr, 16);
      if (!read_exactly(size, body) || !read_line(ignored)) return false;
      if (size == 0) return true;
    }
    return false;
  }
  static void parse_head(std::string_view head, RawResponse& out) {
    if (head.size() > 12) out.status = std::atoi(std::string(head.substr(9, 3)).c_str());
    head.remove_prefix(head.find("\r\n") + 2);
    while (head != "\r\n") {
      const size_t end = head.find("\r\n");
      const size_t colon = head.find(": ");
      std::string name(head.substr(0, colon));
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      out.headers.emplace_back(name, head.substr(colon + 2, end - colon - 2));
      head.remove_prefix(end + 2);
    }
  }

  int fd_ = -1;
  bool connected_ = false;
  bool ended_ = false;
  std::string in_;
};

// What a test and a FakeStream or FakeDeferred share. Thread-safe.
class FakeSource {
 public:
  void push(std::string_view data) {
    set([&] { data_ += data; });
  }
  void end() {
    set([&] { ended_ = true; });
  }
  void fail() {
    set([&] { fails_ = true; });
  }
  bool wait_started() {
    return wait([&] { return wake_ != nullptr; });
  }
  // False when it still lives after a long while.
  bool wait_destroyed() {
    return wait([&] { return destroyed_; });
  }
  std::function<void()> wake() {
    std::lock_guard lock(mutex_);
    return wake_;
  }
  size_t reads() {
    std::lock_guard lock(mutex_);
    return reads_;
  }

 private:
  friend class FakeStream;
  friend class FakeDeferred;
  template <typename Change>
  void set(Change change) {
    std::function<void()> wake;
    {
      std::lock_guard lock(mutex_);
      change();
      wake = wake_;
      changed_.notify_all();
    }
    if (wake) wake();
  }
  template <typename Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), condition);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string data_;
  std::function<void()> wake_;
  size_t reads_ = 0;
  bool ended_ = false;
  bool fails_ = false;
  bool destroyed_ = false;
};

class FakeStream final : public BodyStream {
 public:
  explicit FakeStream(std::shared_ptr<FakeSource> source) : source_(std::move(source)) {}
  ~FakeStream() override {
    source_->set([&] { source_->destroyed_ = true; });
  }
  State read(std::string& out) override {
    std::lock_guard lock(source_->mutex_);
    ++source_->reads_;
    if (source_->fails_) std::string().at(1);  // an exception of the library's
    out += std::exchange(source_->data_, {});
    return source_->ended_ ? State::kEnd : out.empty() ? State::kPending : State::kData;
  }
  void set_wake(std::function<void()> wake) override {
    std::lock_guard lock(source_->mutex_);
    source_->wake_ = std::move(wake);
    source_->changed_.notify_all();
  }

 private:
  const std::shared_ptr<FakeSource> source_;
};

// Its response's body is what was pushed, once ended.
class FakeDeferred final : public DeferredResponse {
 public:
  explicit FakeDeferred(std::shared_ptr<FakeSource> source) : source_(std::move(source)) {}
  ~FakeDeferred() override {
    source_->set([&] { source_->destroyed_ = true; });
  }
  std::optional<HttpResponse> poll() override {
    std::lock_guard lock(source_->mutex_);
    ++source_->reads_;
    if (source_->fails_) std::string().at(1);
    if (!source_->ended_) return std::nullopt;
    HttpResponse response;
    response.body = source_->data_;
    return response;
  }
  void set_wake(std::function<void()> wake) override {
    std::lock_guard lock(source_->mutex_);
    source_->wake_ = std::move(wake);
    source_->changed_.notify_all();
  }

 private:
  const std::shared_ptr<FakeSource> source_;
};

inline std::string fake_error_body(const Status& status) {
  return "{\"error\":\"" + status.message() + "\"}";
}

// "METHOD path?query body-size" and, for a path of /echo, the body itself.
inline HttpReply fake_echo(const HttpRequest& request) {
  HttpResponse response;
  response.body = request.path == "/echo" ? request.body
                                          : fmt::format("{} {}?{} {}", request.method, request.path,
                                                        request.query, request.body.size());
  return response;
}

inline HttpReply fake_stream_reply(std::shared_ptr<FakeSource> source) {
  HttpResponse response;
  response.headers.emplace_back("Content-Type", "text/event-stream");
  response.stream = std::make_unique<FakeStream>(std::move(source));
  return response;
}

inline HttpReply fake_deferred_reply(std::shared_ptr<FakeSource> source) {
  return std::make_unique<FakeDeferred>(std::move(source));
}

inline std::unique_ptr<HttpServer> start_fake_server(HttpServerOptions options,
                                                     HttpHandler handler = fake_echo) {
  options.port = 0;
  auto server = HttpServer::start(options, std::move(handler), fake_error_body);
  YQ_CHECK(server.is_ok(), "{}", server.status().to_string());
  return std::move(server).value();
}

}  // namespace yunqi
