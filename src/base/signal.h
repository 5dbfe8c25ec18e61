// SIGINT and SIGTERM as a counter that programs poll or wait on. Installed once by app.
#pragma once

namespace yunqi {

// From now on SIGINT and SIGTERM are counted instead of ending the process. SIGPIPE is ignored.
void catch_stop_signals();
// How many came so far. Thread-safe.
int stop_signals();
// Waits until more than `seen` came, or `timeout_ms` is over; returns the count.
int wait_for_stop_signal(int seen, int timeout_ms);

}  // namespace yunqi
