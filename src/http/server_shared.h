// What all connections of one server share: options, the worker queue, and the counts that draining
// and stopping wait for. Owned by the server, outlives every connection and worker.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <unordered_set>

#include "base/queue.h"
#include "http/host_check.h"
#include "http/server.h"

namespace yunqi {

class Bell;

using HttpErrorBody = std::function<std::string(const Status&)>;

struct ServerShared {
  ServerShared(const HttpServerOptions& options_in, HttpHandler handler_in,
               HttpErrorBody error_body_in)
      : options(options_in),
        rules{options.host, options.allowed_hosts, options.cors_origins},
        handler(std::move(handler_in)),
        error_body(std::move(error_body_in)),
        jobs(options.max_queued_requests) {}

  const HttpServerOptions options;
  const HostRules rules;
  const HttpHandler handler;
  const HttpErrorBody error_body;
  BoundedQueue<std::function<void()>> jobs;  // calls of the handler that wait for a worker
  std::atomic<uint64_t> body_bytes{0};       // bodies read for requests that still run
  std::atomic<bool> draining{false};         // written under mutex
  std::atomic<bool> closing{false};          // written under mutex: every connection ends now

  mutable std::mutex mutex;
  std::condition_variable changed;                  // any of the fields below went down
  std::unordered_set<std::shared_ptr<Bell>> bells;  // one per connection; guarded by mutex
  size_t connections = 0;                           // served; guarded by mutex
  size_t refused = 0;            // over the limit, being told so; guarded by mutex
  size_t running = 0;            // requests from their head to the end of their response; guarded
  size_t running_undrained = 0;  // those of them that began before draining; guarded
};

}  // namespace yunqi
