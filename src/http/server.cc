// See server.h. One coroutine per connection on an io thread; a handler runs on the worker pool and
// its reply comes back to the connection. Everything of a connection happens on its strand.
#include "http/server.h"

#include <algorithm>
#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/experimental/as_tuple.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>
#include <unordered_map>

#include "base/log.h"
#include "http/host_check.h"
#include "http/request_rules.h"

namespace yunqi {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;
using Milliseconds = std::chrono::milliseconds;

constexpr auto kUse = asio::experimental::as_tuple(asio::use_awaitable);
constexpr size_t kWritePiece = 64 << 10;  // bytes that one write timeout covers

std::string_view reason_of(int status) {
  if (status == 499) return "Client Closed Request";
  return beast::http::obsolete_reason(static_cast<beast::http::status>(status));
}

// 128 random bits; unguessable is not needed, unique is.
std::string make_request_id() {
  thread_local std::mt19937_64 generator = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  return fmt::format("{:016x}{:016x}", generator(), generator());
}

bool is_printable(std::string_view text) {
  return !text.empty() && text.size() <= 128 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

class Connection;

// What all connections share. Outlives them; io and worker threads.
struct Shared {
  Shared(const HttpServerOptions& options_in, HttpHandler handler_in,
         std::function<std::string(const Status&)> error_body_in)
      : options(options_in),
        rules{options.host, options.allowed_hosts, options.cors_origins},
        handler(std::move(handler_in)),
        error_body(std::move(error_body_in)),
        workers(static_cast<size_t>(std::max(1, options.worker_threads))) {}

  const HttpServerOptions options;
  const HostRules rules;
  const HttpHandler handler;
  const std::function<std::string(const Status&)> error_body;
  asio::thread_pool workers;
  std::atomic<size_t> queued{0};   // requests waiting for or on a worker
  std::atomic<size_t> running{0};  // requests from their head to the end of their response
  std::atomic<bool> draining{false};
  std::mutex mutex;
  std::unordered_map<Connection*, std::weak_ptr<Connection>> connections;  // guarded by mutex
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, Shared& shared)
      : stream_(std::move(socket)), shared_(shared), bell_(stream_.get_executor()) {}
  ~Connection() {
    std::lock_guard lock(shared_.mutex);
    shared_.connections.erase(this);
  }

  static asio::awaitable<void> run(std::shared_ptr<Connection> self) {
    while (true) {
      std::optional<HttpRequest> request = co_await self->read_request();
      if (!request.has_value()) break;
      self->shared_.running.fetch_add(1);
      const bool keep = co_await self->answer(*std::move(request));
      self->shared_.running.fetch_sub(1);
      if (!keep) break;
    }
    co_await self->close_gracefully();
  }

  // From any thread: ends the connection, or only when it waits for a next request.
  void close(bool only_idle) {
    asio::post(stream_.get_executor(), [self = shared_from_this(), only_idle] {
      if (only_idle && !self->idle_) return;
      self->gone_ = true;
      self->stream_.close();
      self->ring();
    });
  }

  static asio::awaitable<void> refuse(std::shared_ptr<Connection> self, Status status) {
    co_await self->send_error(std::move(status));
    co_await self->close_gracefully();
  }

 private:
  using Clock = std::chrono::steady_clock;

  // ---- the way in ----

  asio::awaitable<std::optional<HttpRequest>> read_request() {
    std::optional<HttpRequest> out;
    idle_ = buffer_.empty();
    if (shared_.draining && idle_ && served_ > 0) co_return out;
    stream_.expires_after(Milliseconds(served_ > 0 ? shared_.options.keep_alive_timeout_ms
                                                   : shared_.options.header_timeout_ms));
    const size_t limit = shared_.options.max_header_bytes;
    size_t head_bytes = 0;
    while (true) {
      const size_t end = buffer_.find("\r\n\r\n");
      if (end != std::string::npos && end + 4 <= limit) {
        head_bytes = end + 4;
        break;
      }
      if (buffer_.size() >= limit) {
        co_await send_error(error(Code::kTooLarge, "HTTP: want at most {} bytes of headers", limit),
                            431);
        co_return out;
      }
      char piece[4096];
      const auto [failed, count] =
          co_await stream_.async_read_some(asio::buffer(piece, sizeof piece), kUse);
      if (failed == beast::error::timeout && !buffer_.empty()) {
        co_await send_error(error(Code::kInvalidArgument, "HTTP: the headers took too long"), 408);
      }
      if (failed) co_return out;
      if (buffer_.empty()) stream_.expires_after(Milliseconds(shared_.options.header_timeout_ms));
      idle_ = false;
      buffer_.append(piece, count);
    }
    Result<RequestHead> head = parse_request_head(std::string_view(buffer_).substr(0, head_bytes));
    if (!head.is_ok()) {
      co_await send_error(head.status());
      co_return out;
    }
    head_ = std::move(head).value();
    if (Status status = check_source(); !status.is_ok()) {
      co_await send_error(status);
      co_return out;
    }
    HttpRequest request;
    request.id = make_request_id();
    if (!co_await read_body(head_bytes, request.body)) co_return out;
    request.method = head_.method;
    request.path = head_.path;
    request.query = head_.query;
    request.headers = head_.headers;
    ++served_;
    out = std::move(request);
    co_return out;
  }

  const std::string* head_field(std::string_view name) const {
    for (const auto& [key, value] : head_.headers) {
      if (key == name) return &value;
    }
    return nullptr;
  }

  Status check_source() {
    const std::string* host = head_field("host");
    if (host != nullptr) YQ_RETURN_IF_ERROR(check_host(shared_.rules, *host));
    const std::string* origin = head_field("origin");
    if (origin == nullptr) return Status::ok();
    return check_origin(shared_.rules, *origin, host != nullptr ? *host : std::string_view());
  }

  // The library reads the body (lengths, chunks); the head was judged by our own stricter rules.
  asio::awaitable<bool> read_body(size_t head_bytes, std::string& body) {
    const uint64_t limit = shared_.options.max_body_bytes;
    if (head_.content_length.value_or(0) > limit) {
      co_await send_error(too_large());
      co_return false;
    }
    if (!head_.chunked && head_.content_length.value_or(0) == 0) {
      buffer_.erase(0, head_bytes);
      co_return true;
    }
    stream_.expires_after(Milliseconds(shared_.options.body_timeout_ms));
    if (head_.expects_continue && buffer_.size() == head_bytes) {
      co_await asio::async_write(stream_, asio::buffer("HTTP/1.1 100 Continue\r\n\r\n", 25), kUse);
    }
    beast::http::request_parser<beast::http::string_body> parser;
    parser.header_limit(static_cast<uint32_t>(shared_.options.max_header_bytes));
    parser.body_limit(limit);
    beast::flat_buffer input;
    asio::buffer_copy(input.prepare(buffer_.size()), asio::buffer(buffer_));
    input.commit(buffer_.size());
    buffer_.clear();
    const auto [failed, count] = co_await beast::http::async_read(stream_, input, parser, kUse);
    if (failed == beast::http::error::body_limit) {
      co_await send_error(too_large());
    } else if (failed == beast::error::timeout) {
      co_await send_error(error(Code::kInvalidArgument, "HTTP: the body took too long"), 408);
    } else if (failed.category() ==
                   beast::http::make_error_code(beast::http::error::bad_chunk).category() &&
               failed != beast::http::error::end_of_stream &&
               failed != beast::http::error::partial_message) {
      co_await send_error(error(Code::kInvalidArgument, "HTTP: bad body: {}", failed.message()));
    }
    if (failed) co_return false;
    body = std::move(parser.get().body());
    buffer_.assign(static_cast<const char*>(input.data().data()), input.size());
    co_return true;
  }

  Status too_large() const {
    return error(Code::kTooLarge, "HTTP: want a body of at most {} bytes",
                 shared_.options.max_body_bytes);
  }

  // ---- the handler ----

  asio::awaitable<bool> answer(HttpRequest request) {
    if (shared_.draining) head_.keep_alive = false;
    request_id_ = request.id;
    if (head_.method == "OPTIONS") co_return co_await send_preflight();
    if (shared_.queued.load() >= shared_.options.max_queued_requests) {
      co_return co_await send_error(
          error(Code::kUnavailable, "too many requests wait here; try again later"));
    }
    stream_.expires_never();
    watch_client();
    shared_.queued.fetch_add(1);
    const auto call = [this, &request]() -> asio::awaitable<HttpReply> {
      co_return shared_.handler(request);
    };
    HttpReply reply = co_await asio::co_spawn(shared_.workers, call, asio::use_awaitable);
    shared_.queued.fetch_sub(1);
    request.body.clear();
    if (auto* deferred = std::get_if<std::unique_ptr<DeferredResponse>>(&reply)) {
      std::optional<HttpResponse> response = co_await wait_for(**deferred);
      deferred->reset();
      if (!response.has_value()) co_return false;
      co_return co_await send(*std::move(response));
    }
    co_return co_await send(std::get<HttpResponse>(std::move(reply)));
  }

  asio::awaitable<std::optional<HttpResponse>> wait_for(DeferredResponse& deferred) {
    deferred.set_wake(waker());
    while (!gone_) {
      if (std::optional<HttpResponse> response = deferred.poll(); response.has_value()) {
        co_return response;
      }
      co_await wait_for_bell();
    }
    co_return std::nullopt;
  }

  // A ring from another thread while nobody waits is kept: rung_ is read before waiting.
  std::function<void()> waker() {
    return [weak = weak_from_this()] {
      if (std::shared_ptr<Connection> self = weak.lock()) {
        asio::post(self->stream_.get_executor(), [self] { self->ring(); });
      }
    };
  }
  void ring() {
    rung_ = true;
    bell_.cancel();
  }
  asio::awaitable<void> wait_for_bell() {
    while (!rung_) {
      bell_.expires_at(Clock::time_point::max());
      co_await bell_.async_wait(kUse);
    }
    rung_ = false;
  }

  // Notices a client that goes away while nothing is written. Bytes of a next request end the
  // watch: then only a failing write tells.
  void watch_client() {
    const uint64_t turn = ++watch_turn_;
    stream_.socket().async_wait(tcp::socket::wait_read,
                                [self = shared_from_this(), turn](ErrorCode failed) {
                                  if (failed || turn != self->watch_turn_) return;
                                  ErrorCode ignored;
                                  if (self->stream_.socket().available(ignored) > 0) return;
                                  self->gone_ = true;
                                  self->stream_.close();
                                  self->ring();
                                });
  }
  void end_watch() {
    ++watch_turn_;
    ErrorCode ignored;
    stream_.socket().cancel(ignored);
  }

  // ---- the way out ----

  void append_cors(HttpHeaders& headers) const {
    const std::string* origin = head_field("origin");
    if (origin == nullptr || !is_cors_origin(shared_.rules, *origin)) return;
    headers.emplace_back("Access-Control-Allow-Origin", *origin);
    headers.emplace_back("Vary", "Origin");
  }

  asio::awaitable<bool> send_preflight() {
    HttpResponse response;
    response.status = 204;
    const std::string* origin = head_field("origin");
    if (origin != nullptr && is_cors_origin(shared_.rules, *origin)) {
      response.headers = {{"Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"},
                          {"Access-Control-Allow-Headers", "*, Authorization"},
                          {"Access-Control-Max-Age", "600"}};
    }
    co_return co_await send(std::move(response));
  }

  // An error of the server's own: answered, then the connection is closed.
  asio::awaitable<bool> send_error(Status status, int http_status = 0) {
    head_.keep_alive = false;
    HttpResponse response;
    response.status = http_status != 0 ? http_status : own_status(status.code());
    response.headers.emplace_back("Content-Type", "application/json");
    if (response.status == 503) response.headers.emplace_back("Retry-After", "1");
    response.body = shared_.error_body(status);
    co_await send(std::move(response));
    co_return false;
  }

  static int own_status(Code code) {
    switch (code) {
      case Code::kPermission:
        return 403;
      case Code::kTooLarge:
        return 413;
      case Code::kUnavailable:
        return 503;
      default:
        return 400;
    }
  }

  std::string head_text(HttpResponse& response, bool chunked) {
    append_cors(response.headers);
    std::string out = fmt::format("HTTP/1.{} {} {}\r\n", head_.http_1_0 ? 0 : 1, response.status,
                                  reason_of(response.status));
    for (const auto& [name, value] : response.headers) {
      out += name;
      out += ": ";
      // A value must not be able to end its line, wherever it came from.
      for (const char c : value) out.push_back(c == '\r' || c == '\n' ? ' ' : c);
      out += "\r\n";
    }
    if (!request_id_.empty()) out += fmt::format("X-Request-Id: {}\r\n", request_id_);
    if (const std::string* id = head_field("x-request-id"); id != nullptr && is_printable(*id)) {
      out += fmt::format("X-Client-Request-Id: {}\r\n", *id);
    }
    if (chunked) {
      out += "Transfer-Encoding: chunked\r\n";
    } else if (response.stream == nullptr && response.status != 204) {
      out += fmt::format("Content-Length: {}\r\n", response.body.size());
    }
    if (!head_.keep_alive) {
      out += "Connection: close\r\n";
    } else if (head_.http_1_0) {
      out += "Connection: keep-alive\r\n";
    }
    out += "X-Content-Type-Options: nosniff\r\n\r\n";
    return out;
  }

  // Returns whether the connection can take a next request.
  asio::awaitable<bool> send(HttpResponse response) {
    const bool chunked = response.stream != nullptr && !head_.http_1_0;
    if (response.stream != nullptr && head_.http_1_0) head_.keep_alive = false;
    std::string out = head_text(response, chunked);
    const bool no_body = head_.method == "HEAD";
    bool written;
    if (response.stream == nullptr || no_body) {
      if (!no_body) out += response.body;
      written = co_await write(out);
    } else {
      written = co_await write(out) && co_await send_stream(*response.stream, chunked);
    }
    response.stream.reset();
    end_watch();
    co_return written&& head_.keep_alive && !gone_;
  }

  asio::awaitable<bool> send_stream(BodyStream& body, bool chunked) {
    body.set_wake(waker());
    std::string data, framed;
    while (!gone_) {
      data.clear();
      const BodyStream::State state = body.read(data);
      if (!data.empty()) {
        framed.clear();
        if (chunked) framed = fmt::format("{:x}\r\n", data.size());
        framed += data;
        if (chunked) framed += "\r\n";
        if (!co_await write(framed)) co_return false;
      }
      if (state == BodyStream::State::kEnd) {
        if (!chunked) co_return true;
        co_return co_await write("0\r\n\r\n");
      }
      if (state == BodyStream::State::kPending) co_await wait_for_bell();
    }
    co_return false;
  }

  asio::awaitable<bool> write(std::string_view bytes) {
    while (!bytes.empty() && !gone_) {
      stream_.expires_after(Milliseconds(shared_.options.write_timeout_ms));
      const std::string_view piece = bytes.substr(0, kWritePiece);
      const auto [failed, count] =
          co_await asio::async_write(stream_, asio::buffer(piece.data(), piece.size()), kUse);
      if (failed) {
        gone_ = true;
        co_return false;
      }
      bytes.remove_prefix(count);
    }
    stream_.expires_never();
    co_return bytes.empty();
  }

  // Lets the client read the last response before a reset can overtake it: half-close, then drop a
  // bounded amount of what it still sends.
  asio::awaitable<void> close_gracefully() {
    ErrorCode ignored;
    if (gone_ || !stream_.socket().is_open()) co_return;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(Milliseconds(500));
    char piece[4096];
    for (int i = 0; i < 64; ++i) {
      const auto [failed, count] =
          co_await stream_.async_read_some(asio::buffer(piece, sizeof piece), kUse);
      if (failed) break;
    }
    stream_.close();
  }

  beast::tcp_stream stream_;
  Shared& shared_;
  asio::steady_timer bell_;
  std::string buffer_;  // read, not yet parsed
  RequestHead head_;    // of the request being answered
  std::string request_id_;
  uint64_t served_ = 0;
  uint64_t watch_turn_ = 0;
  bool idle_ = true;  // waits for a request of which no byte came yet
  bool rung_ = false;
  bool gone_ = false;  // the client went away or we are closing
};

class AsioServer final : public HttpServer {
 public:
  AsioServer(const HttpServerOptions& options, HttpHandler handler,
             std::function<std::string(const Status&)> error_body)
      : shared_(options, std::move(handler), std::move(error_body)),
        io_(std::max(1, options.io_threads)),
        acceptor_(asio::make_strand(io_)) {}

  ~AsioServer() override {
    drain(0);
    asio::post(acceptor_.get_executor(), [this] {
      ErrorCode ignored;
      acceptor_.close(ignored);
    });
    // Connections end on their own threads; what a stuck handler holds is abandoned after a while.
    for (int i = 0; i < 400 && open_connections() > 0; ++i) {
      close_connections(false);
      std::unique_lock lock(wait_mutex_);
      changed_.wait_for(lock, Milliseconds(5));
    }
    shared_.workers.join();
    io_.stop();
    for (std::thread& thread : threads_) thread.join();
  }

  Status listen() {
    ErrorCode failed;
    const HttpServerOptions& options = shared_.options;
    tcp::resolver resolver(io_);
    const auto found = resolver.resolve(options.host, std::to_string(options.port),
                                        tcp::resolver::passive, failed);
    if (failed || found.empty()) {
      return error(Code::kUnavailable, "the address {} can't be resolved: {}", options.host,
                   failed.message());
    }
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_.open(endpoint.protocol(), failed);
    if (!failed) acceptor_.set_option(tcp::acceptor::reuse_address(true), failed);
    if (!failed) acceptor_.bind(endpoint, failed);
    if (!failed) acceptor_.listen(asio::socket_base::max_listen_connections, failed);
    if (failed) {
      return error(Code::kUnavailable,
                   "can't listen on {}:{}: {}; choose another --port or stop what holds it",
                   options.host, options.port, failed.message());
    }
    port_ = acceptor_.local_endpoint(failed).port();
    asio::co_spawn(acceptor_.get_executor(), accept(), report_failure);
    for (int i = 0; i < std::max(1, options.io_threads); ++i) {
      threads_.emplace_back([this] { io_.run(); });
    }
    return Status::ok();
  }

  uint16_t port() const override { return port_; }

  size_t open_connections() const override {
    std::lock_guard lock(shared_.mutex);
    return shared_.connections.size();
  }

  void drain(int64_t timeout_ms) override {
    shared_.draining.store(true);
    const auto deadline = std::chrono::steady_clock::now() + Milliseconds(timeout_ms);
    close_connections(true);
    std::unique_lock lock(wait_mutex_);
    if (timeout_ms <= 0) drain_now_ = true;
    changed_.notify_all();
    while (!drain_now_ && std::chrono::steady_clock::now() < deadline &&
           (shared_.running.load() > 0 || open_connections() > 0)) {
      changed_.wait_for(lock, Milliseconds(10));
    }
    lock.unlock();
    close_connections(false);
  }

 private:
  static void report_failure(std::exception_ptr failure) {
    if (!failure) return;
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& caught) {
      log_error("a connection ended on an internal error: {}", caught.what());
    }
  }

  asio::awaitable<void> accept() {
    while (acceptor_.is_open()) {
      auto [failed, socket] = co_await acceptor_.async_accept(asio::make_strand(io_), kUse);
      if (failed == asio::error::operation_aborted || !acceptor_.is_open()) co_return;
      if (failed) {
        // Out of descriptors, most likely: wait for some to come back instead of spinning.
        asio::steady_timer pause(acceptor_.get_executor(), Milliseconds(100));
        co_await pause.async_wait(kUse);
        continue;
      }
      ErrorCode ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      start(std::move(socket));
    }
  }

  void start(tcp::socket socket) {
    const auto executor = socket.get_executor();
    auto connection = std::make_shared<Connection>(std::move(socket), shared_);
    bool full = false;
    {
      std::lock_guard lock(shared_.mutex);
      full = shared_.connections.size() >= shared_.options.max_connections;
      shared_.connections.emplace(connection.get(), connection);
    }
    if (full) {
      asio::co_spawn(executor,
                     Connection::refuse(connection, error(Code::kUnavailable,
                                                          "too many connections; try again later")),
                     report_failure);
    } else {
      asio::co_spawn(executor, Connection::run(connection), report_failure);
    }
  }

  void close_connections(bool only_idle) {
    std::vector<std::shared_ptr<Connection>> open;
    {
      std::lock_guard lock(shared_.mutex);
      for (const auto& [unused, weak] : shared_.connections) {
        if (std::shared_ptr<Connection> connection = weak.lock()) {
          open.push_back(std::move(connection));
        }
      }
    }
    for (const auto& connection : open) connection->close(only_idle);
  }

  mutable Shared shared_;
  asio::io_context io_;
  tcp::acceptor acceptor_;
  uint16_t port_ = 0;
  std::vector<std::thread> threads_;
  std::mutex wait_mutex_;
  std::condition_variable changed_;
  bool drain_now_ = false;  // guarded by wait_mutex_
};

}  // namespace

const std::string* HttpRequest::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return &value;
  }
  return nullptr;
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(
    const HttpServerOptions& options, HttpHandler handler,
    std::function<std::string(const Status&)> error_body) {
  auto server = std::make_unique<AsioServer>(options, std::move(handler), std::move(error_body));
  YQ_RETURN_IF_ERROR(server->listen());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace yunqi
