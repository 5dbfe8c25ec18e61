// See server.h. Listens, accepts and stops; connection.cc serves. Each io thread runs its own event
// loop and connections are dealt out in turn, so nothing of a connection needs a lock.
#include "http/server.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/log.h"
#include "http/connection.h"
#include "http/response_head.h"

namespace yunqi {
namespace {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
using Milliseconds = std::chrono::milliseconds;
using TimePoint = std::chrono::steady_clock::time_point;

constexpr int kAcceptsPerTurn = 64;
constexpr size_t kMaxRefused = 64;        // connections over the limit that are told so at one time
constexpr Milliseconds kAcceptPause{20};  // without descriptors, before trying again
constexpr Milliseconds kDrainGrace{1000};  // for the 503s in flight when the last request ended
constexpr Milliseconds kCloseWait{2000};   // for connections to end once told to
constexpr int kUnsentBytes = 128 << 10;    // of a response, held by the kernel for a slow client

struct AddressList {
  addrinfo* first = nullptr;
  ~AddressList() {
    if (first != nullptr) ::freeaddrinfo(first);
  }
};

void set_option(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof value);  // each is worth having, none needed
}

void set_client_options(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsentBytes);
  // A client whose machine vanished says nothing; these notice it within about a minute.
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

class AsioServer final : public HttpServer {
 public:
  AsioServer(const HttpServerOptions& options, HttpHandler handler, HttpErrorBody error_body)
      : shared_(options, std::move(handler), std::move(error_body)) {}

  ~AsioServer() override {
    if (loops_.empty() || !loops_[0]->thread.joinable()) accepting_ = false;  // start() failed
    drain(0);
    wait_until(TimePoint::max(), [this] { return !accepting_ && is_empty(); });
    shared_.jobs.close();
    while (shared_.jobs.try_pop().has_value()) {
    }
    for (std::thread& worker : workers_) worker.join();
    for (const auto& loop : loops_) loop->work.reset();
    for (const auto& loop : loops_) {
      if (loop->thread.joinable()) loop->thread.join();
    }
    if (reserve_ >= 0) ::close(reserve_);
  }

  Status listen() {
    for (int i = 0; i < std::max(1, shared_.options.io_threads); ++i) {
      loops_.push_back(std::make_unique<Loop>());
    }
    YQ_TRY(const int fd, bind_and_listen());
    listener_ = std::make_unique<asio::posix::stream_descriptor>(loops_[0]->io);
    ErrorCode failed;
    listener_->assign(fd, failed);
    if (failed) {
      ::close(fd);
      return error(Code::kNoResources, "the HTTP server can't start: {}", failed.message());
    }
    pause_ = std::make_unique<asio::steady_timer>(loops_[0]->io);
    reserve_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    accepting_ = true;
    asio::post(loops_[0]->io, [this] { await_client(); });
    for (const auto& loop : loops_) {
      loop->thread = std::thread([&io = loop->io] { run(io); });
    }
    for (int i = 0; i < std::max(1, shared_.options.worker_threads); ++i) {
      workers_.emplace_back([this] {
        while (std::optional<std::function<void()>> job = shared_.jobs.pop()) (*job)();
      });
    }
    return Status::ok();
  }

  uint16_t port() const override { return port_; }

  size_t open_connections() const override {
    std::lock_guard lock(shared_.mutex);
    return shared_.connections;
  }

  void drain(int64_t timeout_ms) override {
    const TimePoint start = std::chrono::steady_clock::now();
    const TimePoint deadline = start + Milliseconds(std::clamp<int64_t>(timeout_ms, 0, 1 << 30));
    {
      std::lock_guard lock(shared_.mutex);
      shared_.draining.store(true);
    }
    if (timeout_ms > 0) {
      close_connections(true);
      wait_until(deadline,
                 [this] { return shared_.closing.load() || shared_.running_undrained == 0; });
      wait_until(std::min(deadline, std::chrono::steady_clock::now() + kDrainGrace),
                 [this] { return shared_.closing.load() || shared_.running == 0; });
    }
    {
      std::lock_guard lock(shared_.mutex);
      shared_.closing.store(true);
      shared_.changed.notify_all();
    }
    if (listener_ != nullptr) asio::post(loops_[0]->io, [this] { stop_accepting(); });
    close_connections(false);
    wait_until(std::chrono::steady_clock::now() + kCloseWait,
               [this] { return !accepting_ && is_empty(); });
  }

 private:
  struct Loop {
    asio::io_context io{1};
    asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
    std::thread thread;
  };

  // What a handler of ours throws (memory ran out) must not end the loop.
  static void run(asio::io_context& io) {
    while (true) {
      try {
        io.run();
        return;
      } catch (const std::exception& caught) {
        log_error("an event failed: {}", caught.what());
      }
    }
  }

  // -1 and errno when it can't.
  static int bind_one(const addrinfo& address) {
    const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (::bind(fd, address.ai_addr, address.ai_addrlen) == 0 && ::listen(fd, SOMAXCONN) == 0) {
      return fd;
    }
    const int reason = errno;
    ::close(fd);
    errno = reason;
    return -1;
  }

  Result<int> bind_and_listen() {
    const HttpServerOptions& options = shared_.options;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    AddressList found;
    const int failed = ::getaddrinfo(options.host.c_str(), std::to_string(options.port).c_str(),
                                     &hints, &found.first);
    if (failed != 0) {
      return error(Code::kUnavailable, "the address \"{}\" can't be resolved: {}", options.host,
                   ::gai_strerror(failed));
    }
    int fd = -1, reason = 0;
    for (const addrinfo* each = found.first; each != nullptr && fd < 0; each = each->ai_next) {
      fd = bind_one(*each);
      reason = errno;
    }
    if (fd < 0) {
      return error(Code::kUnavailable,
                   "can't listen on {}:{}: {}; choose another --port or stop what holds it",
                   options.host, options.port, std::strerror(reason));
    }
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size);
    port_ = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port
                                              : reinterpret_cast<sockaddr_in&>(bound).sin_port);
    return fd;
  }

  // ---- accepting, on the first loop ----

  void await_client() {
    if (!listener_->is_open()) return;
    listener_->async_wait(asio::posix::stream_descriptor::wait_read, [this](ErrorCode failed) {
      if (failed == asio::error::operation_aborted) return;
      accept();
    });
  }

  void accept() {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      const int fd =
          ::accept4(listener_->native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        take(fd);
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        if (!turn_away()) return await_client_later();
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        break;
      }
      // Anything else is about that one client (it left already, say).
    }
    await_client();
  }

  void take(int fd) {
    bool refuse = false;
    {
      std::lock_guard lock(shared_.mutex);
      refuse = shared_.connections >= shared_.options.max_connections;
      if (shared_.closing.load() || (refuse && shared_.refused >= kMaxRefused)) {
        ::close(fd);
        return;
      }
    }
    set_client_options(fd);
    start_connection(loops_[next_loop_++ % loops_.size()]->io, fd, shared_, refuse);
  }

  // Out of descriptors: gives up the one in reserve to tell one client, instead of leaving all in
  // the dark. False when there was none to give.
  bool turn_away() {
    if (reserve_ < 0) return false;
    ::close(reserve_);
    const int fd =
        ::accept4(listener_->native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      const Status full = error(Code::kNoResources, "too many connections; try again later");
      RequestHead request;
      request.keep_alive = false;
      const HttpResponse response = error_response(full, 0, shared_.error_body(full));
      std::string text = response_head(shared_.rules, request, make_request_id(), response);
      text += response.body;
      if (::send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
        ::shutdown(fd, SHUT_WR);
      }
      ::close(fd);
    }
    reserve_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && reserve_ >= 0;
  }

  void await_client_later() {
    if (reserve_ < 0) reserve_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    pause_->expires_after(kAcceptPause);
    pause_->async_wait([this](ErrorCode failed) {
      if (!failed) await_client();
    });
  }

  void stop_accepting() {
    ErrorCode ignored;
    listener_->close(ignored);
    pause_->cancel();
    std::lock_guard lock(shared_.mutex);
    accepting_ = false;
    shared_.changed.notify_all();
  }

  // ---- stopping ----

  // Under shared_.mutex.
  bool is_empty() const { return shared_.connections == 0 && shared_.refused == 0; }

  template <typename Condition>
  void wait_until(TimePoint deadline, Condition condition) {
    std::unique_lock lock(shared_.mutex);
    if (deadline == TimePoint::max()) {
      shared_.changed.wait(lock, condition);
    } else {
      shared_.changed.wait_until(lock, deadline, condition);
    }
  }

  void close_connections(bool only_idle) {
    std::vector<std::shared_ptr<Bell>> bells;
    {
      std::lock_guard lock(shared_.mutex);
      bells.assign(shared_.bells.begin(), shared_.bells.end());
    }
    for (const auto& bell : bells) bell->close(only_idle);
  }

  mutable ServerShared shared_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::unique_ptr<asio::posix::stream_descriptor> listener_;  // on the first loop
  std::unique_ptr<asio::steady_timer> pause_;                 // on the first loop
  size_t next_loop_ = 0;                                      // first loop's thread
  int reserve_ = -1;                                          // first loop's thread
  bool accepting_ = false;                                    // guarded by shared_.mutex
  uint16_t port_ = 0;
  std::vector<std::thread> workers_;
};

}  // namespace

const std::string* HttpRequest::header(std::string_view lower_case_name) const {
  return find_header(headers, lower_case_name);
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(
    const HttpServerOptions& options, HttpHandler handler,
    std::function<std::string(const Status&)> error_body) {
  try {
    auto server = std::make_unique<AsioServer>(options, std::move(handler), std::move(error_body));
    YQ_RETURN_IF_ERROR(server->listen());
    return std::unique_ptr<HttpServer>(std::move(server));
  } catch (const std::exception& caught) {  // no descriptors or threads left
    return error(Code::kNoResources, "the HTTP server can't start: {}", caught.what());
  }
}

}  // namespace yunqi
