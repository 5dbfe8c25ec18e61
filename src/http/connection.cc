// See connection.h. One coroutine per connection. It waits in one place only, wait(): for a ring,
// for the socket to be ready, or for a deadline; reads and writes themselves never block.
#include "http/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <chrono>

#include "base/log.h"
#include "http/chunked_body.h"
#include "http/request_call.h"
#include "http/request_rules.h"
#include "http/response_head.h"

namespace yunqi {

namespace asio = boost::asio;
using asio::awaitable;
using ErrorCode = boost::system::error_code;
using Milliseconds = std::chrono::milliseconds;
using TimePoint = std::chrono::steady_clock::time_point;

namespace {

constexpr size_t kPieceBytes = 64 << 10;         // one read or write of the socket
constexpr size_t kTurnBytes = 1 << 20;           // moved before other connections get their turn
constexpr size_t kMaxPipelinedBytes = 64 << 10;  // of next requests, read while one is answered
constexpr Milliseconds kLinger{2000};            // for a client to read its last response
constexpr Milliseconds kRefusal{1000};           // for a client over the limit to send something
constexpr Milliseconds kGoneCheck{1000};         // where the socket can't be watched
constexpr TimePoint kNever = TimePoint::max();

TimePoint after(int64_t ms) { return std::chrono::steady_clock::now() + Milliseconds(ms); }
TimePoint now() { return std::chrono::steady_clock::now(); }

// What a producer throws is a 500 of its own request and nothing else.
std::optional<HttpResponse> poll_safely(DeferredResponse& deferred, const ServerShared& shared) {
  try {
    return deferred.poll();
  } catch (const std::exception& caught) {
    log_error("a deferred response failed: {}", caught.what());
  }
  return internal_error_response(shared.error_body);
}

}  // namespace

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(asio::io_context& io, ServerShared& shared, bool refuse)
      : shared_(shared),
        refuse_(refuse),
        descriptor_(io),
        timer_(io),
        bell_(std::make_shared<Bell>(io, this)) {}
  ~Connection() { end(); }

  // Takes over `fd`; false when the event loop can't watch it (`fd` stays the caller's).
  bool open(int fd) {
    ErrorCode failed;
    descriptor_.assign(fd, failed);
    if (failed) return false;
    fd_ = fd;
    std::lock_guard lock(shared_.mutex);
    shared_.bells.insert(bell_);
    counted_ = true;
    ++(refuse_ ? shared_.refused : shared_.connections);
    return true;
  }

  // `self` keeps the connection alive as long as the coroutine runs.
  static awaitable<void> run(std::shared_ptr<Connection> self) {
    if (self->refuse_) {
      co_await self->refuse();
    } else {
      bool keep = true;
      while (keep) {
        keep = co_await self->serve_one();
      }
    }
    co_await self->linger();
  }

  void end();
  void ring() {
    rung_ = true;
    timer_.cancel();
  }
  void close(bool only_idle) {
    if (only_idle && !(idle_ && served_ > 0)) return;
    gone_ = true;
    ring();
  }

 private:
  // ---- waiting ----
  awaitable<void> wait(TimePoint deadline);
  void arm_read();
  void arm_write();
  void take_input();
  TimePoint watch_client(TimePoint deadline);
  bool must_stop() const { return gone_ || shared_.closing.load(); }

  // ---- the way in ----
  awaitable<bool> serve_one();
  awaitable<Status> read_head(size_t& head_bytes);
  Status check_source() const;
  awaitable<Status> read_body(std::string& body, BodyCharge& charge);
  Result<bool> take_body(ChunkedBody& chunks, std::string& body, BodyCharge& charge);

  // ---- answering ----
  awaitable<bool> answer(HttpRequest request, BodyCharge charge);
  awaitable<bool> answer_later(std::unique_ptr<DeferredResponse> deferred);
  awaitable<bool> send_error(const Status& status, int http_status = 0);
  awaitable<bool> send(HttpResponse response);
  awaitable<bool> send_stream(BodyStream& body, bool chunked);
  awaitable<bool> write(std::string_view bytes);
  awaitable<void> refuse();
  awaitable<void> linger();

  ServerShared& shared_;
  const bool refuse_;
  asio::posix::stream_descriptor descriptor_;
  asio::steady_timer timer_;
  const std::shared_ptr<Bell> bell_;
  int fd_ = -1;
  std::string buffer_;  // read, not yet parsed
  RequestHead head_;    // of the request being answered
  std::string request_id_;
  uint64_t served_ = 0;
  size_t turn_bytes_ = 0;  // moved since the last wait
  bool counted_ = false;
  bool idle_ = true;  // waits for a request of which no byte came yet, or for its client to leave
  bool rung_ = false;
  bool readable_ = false;
  bool read_armed_ = false;
  bool write_armed_ = false;
  bool ended_ = false;  // the client sends no more
  bool gone_ = false;   // nothing can be written any more, or we are closing
};

// ---- the bell ----

void Bell::ring() noexcept {
  std::lock_guard lock(mutex_);
  if (io_ == nullptr || on_its_way_) return;
  try {
    asio::post(*io_, [self = shared_from_this()] { self->deliver(); });
    on_its_way_ = true;
  } catch (const std::exception& caught) {
    log_error("a connection can't be woken: {}", caught.what());
  }
}

void Bell::close(bool only_idle) noexcept {
  {
    std::lock_guard lock(mutex_);
    (only_idle ? close_idle_ : close_all_) = true;
  }
  ring();
}

void Bell::detach() {
  std::lock_guard lock(mutex_);
  io_ = nullptr;
  connection_ = nullptr;
}

void Bell::deliver() {
  bool close_all = false, close_idle = false;
  {
    std::lock_guard lock(mutex_);
    on_its_way_ = false;
    close_all = close_all_;
    close_idle = std::exchange(close_idle_, false);
  }
  if (connection_ == nullptr) return;
  if (close_all || close_idle) connection_->close(!close_all);
  connection_->ring();
}

// ---- life and waiting ----

void Connection::end() {
  bell_->detach();
  ErrorCode ignored;
  if (descriptor_.is_open()) descriptor_.close(ignored);
  if (!std::exchange(counted_, false)) return;
  std::lock_guard lock(shared_.mutex);
  shared_.bells.erase(bell_);
  --(refuse_ ? shared_.refused : shared_.connections);
  shared_.changed.notify_all();
}

awaitable<void> Connection::wait(TimePoint deadline) {
  turn_bytes_ = 0;
  if (!rung_) {
    timer_.expires_at(deadline);
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  rung_ = false;
}

void Connection::arm_read() {
  if (read_armed_ || ended_ || gone_) return;
  read_armed_ = true;
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this()](ErrorCode failed) {
                           self->read_armed_ = false;
                           if (failed) return;
                           self->readable_ = true;
                           self->ring();
                         });
}

void Connection::arm_write() {
  if (write_armed_ || gone_) return;
  write_armed_ = true;
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_write,
                         [self = shared_from_this()](ErrorCode failed) {
                           self->write_armed_ = false;
                           if (!failed) self->ring();
                         });
}

// One read of what the socket holds, into buffer_.
void Connection::take_input() {
  if (!std::exchange(readable_, false)) return;
  thread_local char piece[kPieceBytes];
  const ssize_t count = ::recv(fd_, piece, sizeof piece, MSG_DONTWAIT);
  if (count > 0) {
    buffer_.append(piece, static_cast<size_t>(count));
  } else if (count == 0) {
    ended_ = true;
  } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
    ended_ = gone_ = true;
  }
}

// While a response is made or written: notices a client that leaves, and keeps a bounded part of
// what it sends for its next request. Returns when to look again at the latest. A client that only
// closes its sending side counts as gone: it can't be told from one that left.
TimePoint Connection::watch_client(TimePoint deadline) {
  take_input();
  if (ended_) gone_ = true;
  if (buffer_.size() < kMaxPipelinedBytes) {
    arm_read();
    return deadline;
  }
  pollfd left{.fd = fd_, .events = POLLRDHUP, .revents = 0};
  if (::poll(&left, 1, 0) > 0) gone_ = true;
  return std::min(deadline, now() + kGoneCheck);
}

// ---- the way in ----

// Reads one request and answers it; false when the connection ends.
awaitable<bool> Connection::serve_one() {
  head_ = {};
  request_id_ = make_request_id();
  size_t head_bytes = 0;
  const Status read = co_await read_head(head_bytes);
  if (must_stop() || (read.is_ok() && head_bytes == 0)) co_return false;
  RequestScope scope(shared_);
  if (!read.is_ok()) {
    const bool late = read.code() == Code::kCancelled;
    co_return co_await send_error(read, late ? 408 : read.code() == Code::kTooLarge ? 431 : 0);
  }
  Result<RequestHead> head = parse_request_head(std::string_view(buffer_).substr(0, head_bytes));
  buffer_.erase(0, head_bytes);
  if (!head.is_ok()) {
    const Status& status = head.status();
    co_return co_await send_error(status, status.code() == Code::kTooLarge ? 431 : 0);
  }
  head_ = std::move(head).value();
  const Status source = check_source();
  if (!source.is_ok()) co_return co_await send_error(source);
  HttpRequest request;
  BodyCharge charge(shared_);
  const Status body = co_await read_body(request.body, charge);
  if (must_stop() || ended_) co_return false;
  if (!body.is_ok()) co_return co_await send_error(body, body.code() == Code::kCancelled ? 408 : 0);
  request.id = request_id_;
  request.method = head_.method;
  request.path = head_.path;
  request.query = head_.query;
  request.headers = head_.headers;
  ++served_;
  if (shared_.draining.load()) head_.keep_alive = false;
  co_return co_await answer(std::move(request), std::move(charge));
}

// OK with head_bytes 0: the connection ended, or nothing came in time. kCancelled: a head that
// began did not end in time.
awaitable<Status> Connection::read_head(size_t& head_bytes) {
  const HttpServerOptions& options = shared_.options;
  TimePoint deadline =
      after(served_ > 0 ? options.keep_alive_timeout_ms : options.header_timeout_ms);
  size_t scanned = 0;
  bool skipped = false;
  idle_ = true;
  while (true) {
    // Some clients send an empty line behind a body (RFC 9112 section 2.2).
    if (!skipped && buffer_.starts_with("\r\n")) {
      buffer_.erase(0, 2);
      skipped = true;
    }
    if (!buffer_.empty() && std::exchange(idle_, false)) {
      deadline = after(options.header_timeout_ms);
    }
    if (idle_ && served_ > 0 && shared_.draining.load()) co_return Status::ok();
    const Result<size_t> end = find_head_end(buffer_, options.max_header_bytes, scanned);
    if (!end.is_ok()) co_return end.status();
    head_bytes = *end;
    if (head_bytes > 0 || ended_ || must_stop()) co_return Status::ok();
    if (now() >= deadline) {
      if (idle_) co_return Status::ok();
      co_return error(Code::kCancelled, "HTTP: the headers took longer than {} ms",
                      options.header_timeout_ms);
    }
    arm_read();
    co_await wait(deadline);
    take_input();
  }
}

Status Connection::check_source() const {
  const std::string* host = find_header(head_.headers, "host");
  if (host != nullptr) YQ_RETURN_IF_ERROR(check_host(shared_.rules, *host));
  const std::string* origin = find_header(head_.headers, "origin");
  if (origin == nullptr) return Status::ok();
  return check_origin(shared_.rules, *origin, host != nullptr ? *host : std::string_view());
}

awaitable<Status> Connection::read_body(std::string& body, BodyCharge& charge) {
  const uint64_t limit = shared_.options.max_body_bytes;
  if (head_.content_length.value_or(0) > limit) {
    co_return error(Code::kTooLarge, "HTTP: want a body of at most {} bytes, found {}", limit,
                    *head_.content_length);
  }
  if (!head_.chunked && head_.content_length.value_or(0) == 0) co_return Status::ok();
  if (head_.expects_continue && buffer_.empty()) {
    const bool written = co_await write("HTTP/1.1 100 Continue\r\n\r\n");
    if (!written) co_return Status::ok();
  }
  ChunkedBody chunks(limit);
  const TimePoint deadline = after(shared_.options.body_timeout_ms);
  while (true) {
    const Result<bool> whole = take_body(chunks, body, charge);
    if (!whole.is_ok()) co_return whole.status();
    if (*whole || ended_ || must_stop()) co_return Status::ok();
    if (now() >= deadline) {
      co_return error(Code::kCancelled, "HTTP: the body took longer than {} ms",
                      shared_.options.body_timeout_ms);
    }
    arm_read();
    co_await wait(deadline);
    take_input();
  }
}

// Moves what belongs to the body out of buffer_; true when the body is whole.
Result<bool> Connection::take_body(ChunkedBody& chunks, std::string& body, BodyCharge& charge) {
  const size_t before = body.size();
  size_t used = 0;
  if (head_.chunked) {
    YQ_TRY(used, chunks.take(buffer_, body));
  } else {
    used = static_cast<size_t>(std::min<uint64_t>(*head_.content_length - before, buffer_.size()));
    body.append(buffer_, 0, used);
  }
  buffer_.erase(0, used);
  YQ_RETURN_IF_ERROR(charge.add(body.size() - before));
  return head_.chunked ? chunks.done() : body.size() == *head_.content_length;
}

// ---- answering ----

awaitable<bool> Connection::answer(HttpRequest request, BodyCharge charge) {
  if (head_.method == "OPTIONS") {
    co_return co_await send(preflight_response(shared_.rules, head_));
  }
  auto call = std::make_shared<RequestCall>(std::move(request), std::move(charge), bell_);
  if (!shared_.jobs.try_push([call, &shared = shared_] { call->run(shared); })) {
    const Status full = error(Code::kUnavailable, "too many requests wait here; try again later");
    co_return co_await send_error(full);
  }
  while (!call->done()) {
    const TimePoint look_again = watch_client(kNever);
    if (must_stop()) {
      call->abandon();
      co_return false;
    }
    co_await wait(look_again);
  }
  HttpReply reply = call->take_reply();
  call.reset();
  if (auto* deferred = std::get_if<std::unique_ptr<DeferredResponse>>(&reply)) {
    co_return co_await answer_later(std::move(*deferred));
  }
  co_return co_await send(std::get<HttpResponse>(std::move(reply)));
}

awaitable<bool> Connection::answer_later(std::unique_ptr<DeferredResponse> deferred) {
  std::optional<HttpResponse> response;
  deferred->set_wake([bell = bell_] { bell->ring(); });
  while (true) {
    const TimePoint look_again = watch_client(kNever);
    if (must_stop()) co_return false;
    response = poll_safely(*deferred, shared_);
    if (response.has_value()) break;
    co_await wait(look_again);
  }
  deferred.reset();
  co_return co_await send(*std::move(response));
}

// An error of the server's own: answered, then the connection is closed.
awaitable<bool> Connection::send_error(const Status& status, int http_status) {
  head_.keep_alive = false;
  ended_ = false;
  co_await send(error_response(status, http_status, shared_.error_body(status)));
  co_return false;
}

// Returns whether the connection can take a next request.
awaitable<bool> Connection::send(HttpResponse response) {
  const bool chunked = response.stream != nullptr && !head_.http_1_0;
  if (response.stream != nullptr && head_.http_1_0) head_.keep_alive = false;
  std::string out = response_head(shared_.rules, head_, request_id_, response);
  const bool has_body = head_.method != "HEAD" && response.status != 204 && response.status != 304;
  if (has_body && response.stream == nullptr) out += response.body;
  bool written = co_await write(out);
  if (written && has_body && response.stream != nullptr) {
    out.clear();
    written = co_await send_stream(*response.stream, chunked);
  }
  co_return written&& head_.keep_alive && !gone_;
}

awaitable<bool> Connection::send_stream(BodyStream& body, bool chunked) {
  body.set_wake([bell = bell_] { bell->ring(); });
  std::string data, framed;
  while (true) {
    const TimePoint look_again = watch_client(kNever);
    if (must_stop()) co_return false;
    data.clear();
    const BodyStream::State state = body.read(data);
    if (!data.empty()) {
      framed = chunked ? fmt::format("{:x}\r\n", data.size()) : std::string();
      framed += data;
      if (chunked) framed += "\r\n";
    }
    const bool last = state == BodyStream::State::kEnd;
    if (last && chunked) framed += "0\r\n\r\n";
    const bool written = co_await write(framed);
    framed.clear();
    if (!written) co_return false;
    if (last) co_return true;
    if (state == BodyStream::State::kPending) {
      co_await wait(look_again);
    } else if (data.empty()) {
      turn_bytes_ = kTurnBytes;  // a stream that says "data" without any must not spin
    }
  }
}

// Writes all of `bytes`, as fast as the client takes them; false when it left or takes none in
// time.
awaitable<bool> Connection::write(std::string_view bytes) {
  TimePoint deadline = after(shared_.options.write_timeout_ms);
  while (!bytes.empty()) {
    if (turn_bytes_ < kTurnBytes) {
      const ssize_t count = ::send(fd_, bytes.data(), std::min(bytes.size(), kPieceBytes),
                                   MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count > 0) {
        bytes.remove_prefix(static_cast<size_t>(count));
        turn_bytes_ += static_cast<size_t>(count);
        deadline = after(shared_.options.write_timeout_ms);
        continue;
      }
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK) gone_ = true;
    }
    arm_write();
    const TimePoint look_again = watch_client(deadline);
    if (now() >= deadline) gone_ = true;
    if (must_stop()) co_return false;
    co_await wait(look_again);
  }
  co_return !gone_;
}

// Over the connection limit. Waits for the client's first bytes: an answer before any question
// confuses some of them.
awaitable<void> Connection::refuse() {
  const TimePoint deadline = now() + kRefusal;
  request_id_ = make_request_id();
  while (buffer_.empty() && !ended_ && !must_stop() && now() < deadline) {
    arm_read();
    co_await wait(deadline);
    take_input();
  }
  if (ended_ || must_stop()) co_return;
  const Status full = error(Code::kUnavailable, "too many connections; try again later");
  co_await send_error(full);
}

// Lets the client read the last response before a reset can overtake it: half-closes, then drops
// what it still sends, until it closes too or some time is over.
awaitable<void> Connection::linger() {
  if (must_stop() || ended_) co_return;
  ::shutdown(fd_, SHUT_WR);
  served_ = std::max<uint64_t>(served_, 1);
  idle_ = true;
  const TimePoint deadline = now() + kLinger;
  while (!ended_ && !must_stop() && now() < deadline) {
    buffer_.clear();
    arm_read();
    co_await wait(deadline);
    take_input();
  }
}

void start_connection(asio::io_context& io, int fd, ServerShared& shared, bool refuse) {
  std::shared_ptr<Connection> connection;
  try {
    connection = std::make_shared<Connection>(io, shared, refuse);
    if (!connection->open(fd)) {
      ::close(fd);
      return;
    }
  } catch (const std::exception& caught) {
    if (connection == nullptr) ::close(fd);
    log_error("a connection can't be opened: {}", caught.what());
    return;
  }
  try {
    asio::co_spawn(io, Connection::run(connection), [connection](std::exception_ptr failure) {
      try {
        if (failure) std::rethrow_exception(failure);
      } catch (const std::exception& caught) {
        log_error("a connection ended on an internal error: {}", caught.what());
      } catch (...) {
        log_error("a connection ended on an internal error");
      }
      connection->end();
    });
  } catch (const std::exception& caught) {
    log_error("a connection can't be served: {}", caught.what());
    connection->end();
  }
}

}  // namespace yunqi
