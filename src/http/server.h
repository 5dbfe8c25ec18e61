// The HTTP/1.1 server: sockets to request values, response values and streams back to sockets.
// Boost.Asio stays inside the .cc files. Handlers run on worker threads; deferred responses and
// body streams are polled on an io thread, one connection at a time, and only when the socket can
// take more: a slow reader holds back its own stream and nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace yunqi {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;   // "GET"
  std::string path;     // decoded once, starts with '/', no "..", no NUL, no backslash
  std::string query;    // after '?', as sent
  HttpHeaders headers;  // names in lower case
  std::string body;
  std::string id;  // made by the server; the client's X-Request-Id is only echoed
  const std::string* header(std::string_view lower_case_name) const;
};

// The body of a streamed response. Polled on an io thread; destroyed when the client goes away,
// which is the signal to stop producing.
class BodyStream {
 public:
  enum class State { kData, kPending, kEnd };
  virtual ~BodyStream() = default;
  // Appends what is ready to `out`. kPending: nothing now, `wake` will be called.
  virtual State read(std::string& out) = 0;
  // Set once before the first read; may be called from any thread, also when nothing is ready.
  virtual void set_wake(std::function<void()> wake) = 0;
};

struct HttpResponse {
  int status = 200;
  HttpHeaders headers;  // Content-Length, Date and X-Request-Id are the server's
  std::string body;
  std::unique_ptr<BodyStream> stream;  // when set, `body` is ignored: chunked transfer coding
};

// A response that is not known yet (a whole completion). Same rules as BodyStream.
class DeferredResponse {
 public:
  virtual ~DeferredResponse() = default;
  virtual std::optional<HttpResponse> poll() = 0;
  virtual void set_wake(std::function<void()> wake) = 0;
};

using HttpReply = std::variant<HttpResponse, std::unique_ptr<DeferredResponse>>;
// Called on a worker thread. Must not throw; what it throws anyway is answered with 500.
using HttpHandler = std::function<HttpReply(const HttpRequest&)>;

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;  // 0: any free port; see port()
  int io_threads = 1;
  int worker_threads = 2;
  size_t max_header_bytes = 32 << 10;                   // 431
  uint64_t max_body_bytes = uint64_t{64} << 20;         // 413
  uint64_t max_total_body_bytes = uint64_t{512} << 20;  // of all requests being read; over it: 503
  size_t max_connections = 1024;                        // over it: 503 and close
  size_t max_queued_requests = 1024;                    // waiting for a worker; over it: 503
  int64_t header_timeout_ms = 10'000;  // from accept or last response to whole head
  int64_t body_timeout_ms = 60'000;
  int64_t write_timeout_ms = 30'000;  // one write that makes no progress
  int64_t keep_alive_timeout_ms = 75'000;
  // Host header names that are answered beside loopback names and the bound address; "*" is all.
  std::vector<std::string> allowed_hosts;
  // Origins allowed beside the server's own; each gets CORS headers. "*" is all.
  std::vector<std::string> cors_origins;
};

class HttpServer {
 public:
  // Binds and listens; kUnavailable names the address and what holds it. Errors it makes itself
  // (400, 403, 408, 413, 431, 503) have the body that `error_body` returns (OpenAI's shape).
  static Result<std::unique_ptr<HttpServer>> start(
      const HttpServerOptions& options, HttpHandler handler,
      std::function<std::string(const Status&)> error_body);
  virtual ~HttpServer() = default;  // stops now

  virtual uint16_t port() const = 0;
  // Closes idle connections and lets running responses end, then closes everything; returns when
  // all are closed or `timeout_ms` is over. Until then new requests still reach the handler, which
  // says 503. drain(0), also from another thread while this waits, closes everything now.
  virtual void drain(int64_t timeout_ms) = 0;
  virtual size_t open_connections() const = 0;
};

}  // namespace yunqi
