// How far a model's load is: bytes of weights that the device has taken, of all. Written by the
// loading thread, read by any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "ops/device.h"

namespace yunqi {

class LoadProgress {
 public:
  void begin(uint64_t total_bytes) { total_.store(total_bytes, std::memory_order_relaxed); }
  void add(uint64_t bytes) { done_.fetch_add(bytes, std::memory_order_relaxed); }
  // 0 to 1.
  double share() const;

 private:
  std::atomic<uint64_t> total_{0}, done_{0};
};

// `device` as it is, but for adding what prepare() took to `progress`. Both must outlive it; what
// it makes does not need it.
std::unique_ptr<Device> count_prepared(Device& device, LoadProgress& progress);

}  // namespace yunqi
