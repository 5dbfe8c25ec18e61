// Who has had how much: a virtual token counter per flow (Sheng et al., "Fairness in serving large
// language models", 2024), so that flows share the engine by weight however many requests each
// sends. A flow that comes, or comes back, starts no lower than the least of those that are here.
// Owned by the engine thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace yunqi {

// Flows without requests whose counters are remembered.
inline constexpr size_t kMaxIdleFlows = 1024;

struct FlowAccount {
  uint32_t weight = 1;
  double service = 0;     // tokens computed for it, divided by its weight
  int32_t sequences = 0;  // here, waiting or running
  int32_t running = 0;
  // Scratch of one admission round: service and what its running sequences will still get.
  double claim = 0;

  void charge(int32_t tokens) { service += static_cast<double>(tokens) / weight; }
};

class FlowTable {
 public:
  // A sequence of the flow arrives. The account stays put until the last one has left.
  FlowAccount* join(uint64_t id, uint32_t weight);
  void leave(FlowAccount* account);
  size_t size() const { return flows_.size(); }

 private:
  void forget_idle();

  std::unordered_map<uint64_t, FlowAccount> flows_;
  double least_ = 0;  // least service of the flows that were here at the last arrival
};

}  // namespace yunqi
