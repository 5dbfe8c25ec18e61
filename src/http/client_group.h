// Many outgoing requests at once on one thread, for load tools: libcurl's sockets under epoll, so
// that a hundred streams cost what their bytes cost. Not thread-safe; callbacks run inside run().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "http/client.h"

namespace yunqi {

class ClientGroup {
 public:
  struct Callbacks {
    std::function<void(int status)> on_head;
    std::function<void(std::string_view chunk)> on_chunk;  // must not start requests
    // Exactly once, the last call: OK when the whole answer came, whatever its status.
    std::function<void(const Status& status)> on_end;
  };

  // `connections`: idle ones kept for reuse.
  static Result<std::unique_ptr<ClientGroup>> create(int connections);
  virtual ~ClientGroup() = default;  // cuts off what runs, without on_end

  // Sends a request; redirects are not followed. idle_timeout_ms bounds the whole answer.
  virtual Status start(const ClientRequest& request, Callbacks callbacks) = 0;
  // Handles what happens within `wait_ms`; returns after the first things that did. Requests that
  // on_end starts are under way when this returns.
  virtual void run(int64_t wait_ms) = 0;
  virtual size_t active() const = 0;
};

}  // namespace yunqi
