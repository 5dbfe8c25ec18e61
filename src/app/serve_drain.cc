// See serve_drain.h.
#include "app/serve_drain.h"

#include <chrono>
#include <future>

namespace yunqi {
namespace {

constexpr int kSignalWaitMs = 20;

}  // namespace

void drain_server(HttpServer& server, int64_t timeout_ms,
                  const std::function<bool(int wait_ms)>& stop_now) {
  const std::future<void> drained =
      std::async(std::launch::async, [&] { server.drain(timeout_ms); });
  // Until the drain itself says so: it may still wait when no connection is open any more.
  while (drained.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    if (!stop_now(kSignalWaitMs)) continue;
    server.drain(0);
    break;
  }
  drained.wait();
}

}  // namespace yunqi
