// Where the time of a step goes, for `yunqi bench --profile`: operations by kind, the sampler, and
// the rest, apart for steps that decode only and steps with prompt rows. The engine thread counts;
// the program reads while no request runs.
#pragma once

#include <memory>

#include "base/json.h"
#include "engine/step_plan.h"
#include "ops/profiled_device.h"

namespace yunqi {

struct StepProfile {
  OpProfile ops;
  int64_t steps = 0, rows = 0;
  int64_t execute_ns = 0;  // operations and what lies between them
  int64_t between_ns = 0;  // from one step's logits to the next: sampling and bookkeeping

  // Milliseconds a step, share, GB/s (also of `read_rate`) and TOPS a core of each kind.
  Json to_json(double read_rate, int threads) const;
  void print(const char* title, double read_rate, int threads) const;
};

class BenchProfile {
 public:
  // Steps of this executor are counted here; its device reports to target().
  std::unique_ptr<Executor> wrap(std::unique_ptr<Executor> inner);
  const ProfileTarget& target() const { return target_; }
  void reset();

  const StepProfile& prefill() const { return prefill_; }
  const StepProfile& decode() const { return decode_; }

 private:
  class ProfiledExecutor;

  ProfileTarget target_;
  StepProfile prefill_, decode_;
  StepProfile* last_ = nullptr;  // of the step before, to charge what follows it
  int64_t last_end_ns_ = 0;
};

}  // namespace yunqi
