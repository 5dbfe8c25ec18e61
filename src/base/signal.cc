// See signal.h. The handler writes to a pipe (async-signal-safe), so that waiting needs no polling.
#include "base/signal.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>

namespace yunqi {
namespace {

std::atomic<int> signal_count{0};
int signal_pipe[2] = {-1, -1};

void on_signal(int) {
  const int saved_errno = errno;
  signal_count.fetch_add(1, std::memory_order_relaxed);
  const char byte = 1;
  // A full pipe already wakes the reader.
  if (write(signal_pipe[1], &byte, 1) < 0) errno = saved_errno;
  errno = saved_errno;
}

}  // namespace

void catch_stop_signals() {
  if (signal_pipe[0] < 0 && pipe2(signal_pipe, O_NONBLOCK | O_CLOEXEC) != 0) return;
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int stop_signals() { return signal_count.load(std::memory_order_relaxed); }

int wait_for_stop_signal(int seen, int timeout_ms) {
  if (stop_signals() > seen) return stop_signals();
  pollfd waiting = {signal_pipe[0], POLLIN, 0};
  if (poll(&waiting, 1, timeout_ms) > 0) {
    char drained[64];
    while (read(signal_pipe[0], drained, sizeof drained) > 0) {
    }
  }
  return stop_signals();
}

}  // namespace yunqi
