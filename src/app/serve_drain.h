// How `yunqi serve` ends: new requests are refused, running ones get time to finish, and a second
// signal stops at once, also in a drain's last moments. Called on the main thread.
#pragma once

#include <cstdint>
#include <functional>

#include "http/server.h"

namespace yunqi {

// Returns when the server is drained. `stop_now(wait_ms)` waits at most so long for a reason to
// close everything at once, and says whether there is one.
void drain_server(HttpServer& server, int64_t timeout_ms,
                  const std::function<bool(int wait_ms)>& stop_now);

}  // namespace yunqi
