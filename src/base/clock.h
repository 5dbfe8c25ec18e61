// Time as an interface, so that schedulers and limits can be tested on a virtual clock.
#pragma once

#include <cstdint>

namespace yunqi {

class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic; only differences mean something.
  virtual int64_t now_ns() const = 0;
  // Seconds since 1970, for people and APIs ("created").
  virtual int64_t unix_seconds() const = 0;
};

// The machine's own clock; lives for the whole process. Thread-safe.
const Clock& system_clock();

class VirtualClock final : public Clock {
 public:
  int64_t now_ns() const override { return now_ns_; }
  int64_t unix_seconds() const override { return 1'700'000'000 + now_ns_ / 1'000'000'000; }
  void advance_ns(int64_t ns) { now_ns_ += ns; }

 private:
  int64_t now_ns_ = 0;
};

}  // namespace yunqi
