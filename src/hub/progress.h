// Progress of one pull: counts bytes from any thread, smooths the rate, and tells the listener at
// most ten times a second.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "hub/hub.h"

namespace yunqi {

class ProgressMeter {
 public:
  ProgressMeter(std::function<void(const PullProgress&)> listener, const Clock& clock);

  // What is being done now, and to which file.
  void begin(std::string file, std::string state);
  void set_total(uint64_t bytes);
  // Bytes that are there, whether they came now (they count for the rate) or were kept.
  void add(uint64_t bytes);
  void add_kept(uint64_t bytes);
  // Bytes that must be fetched again.
  void take_back(uint64_t bytes);
  // Tells the state again when it is time, so that a stall is seen as one.
  void tick();
  uint64_t done_bytes() const;

 private:
  // Both with mutex_ held.
  void measure();
  void tell(bool at_once);

  const std::function<void(const PullProgress&)> listener_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  PullProgress progress_;
  int64_t last_told_ns_ = 0;
  int64_t rate_since_ns_ = 0;  // start of the interval now being measured
  uint64_t rate_bytes_ = 0;    // arrived in it
};

}  // namespace yunqi
