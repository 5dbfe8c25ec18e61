// Shares one device between engines: one step at a time, and to each the same time while it wants
// steps. An engine that was idle starts level with the others; it can't save up.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "base/clock.h"
#include "engine/engine.h"

namespace yunqi {

// Who may run, as pure bookkeeping. One thread at a time.
class StepShares {
 public:
  // For how long the device waits for an engine that had less than its share and comes back after
  // choosing tokens.
  static constexpr int64_t kReturnNs = 2'000'000;
  // Less behind than this, nobody waits for it.
  static constexpr int64_t kLeadNs = 5'000'000;

  int add();
  void remove(int id);
  void ask(int id, int64_t now_ns);
  // For one that has asked. 0: it goes now; above: not before that time, unless something changes;
  // -1: not until something changes.
  int64_t turn_of(int id, int64_t now_ns) const;
  void begin(int id, int64_t now_ns);
  void end(int id, int64_t now_ns);

 private:
  struct Share {
    int64_t used_ns = 0;   // of the device; lifted to the others' level after idleness
    int64_t begun_ns = 0;  // when its step began
    int64_t left_ns = 0;   // when its last step ended
    uint64_t ticket = 0;   // order of asking, between equals
    bool waiting = false, running = false, had_step = false;
  };
  static bool is_recent(const Share& share, int64_t now_ns) {
    return share.had_step && now_ns - share.left_ns < kReturnNs;
  }

  std::map<int, Share> shares_;
  uint64_t tickets_ = 0;
  int next_id_ = 0;
};

// The same for threads: a gate for each engine. Thread-safe.
class StepArbiter {
 public:
  explicit StepArbiter(const Clock& clock = system_clock());
  ~StepArbiter();
  // One engine's gate; it may outlive the arbiter.
  std::shared_ptr<StepGate> make_gate();

 private:
  struct State;
  class Gate;
  const std::shared_ptr<State> state_;
};

}  // namespace yunqi
