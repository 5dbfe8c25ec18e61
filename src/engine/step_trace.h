// The last steps of an engine, each in numbers, for those who look at why it is slow. The engine
// thread adds, anyone takes a snapshot.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

namespace yunqi {

struct StepRecord {
  uint64_t step = 0;     // from 1
  int64_t begin_ns = 0;  // on the engine's clock
  // One after the other: arrivals and plan, waiting for the device, the model, choosing tokens.
  int64_t plan_ns = 0, gate_ns = 0, execute_ns = 0, sample_ns = 0;
  int32_t rows = 0, decode_rows = 0, prefill_rows = 0, draft_rows = 0;
  int32_t runs = 0;
  int32_t drafts_accepted = 0;
  int32_t running = 0, waiting = 0;
  int32_t pages_free = 0, cache_pages = 0;
  // Since the step before.
  int32_t cache_hit_pages = 0, cache_evictions = 0, preemptions = 0;
};

class StepTrace {
 public:
  static constexpr size_t kSteps = 1024;  // as many are remembered

  StepTrace() : ring_(kSteps) {}
  void add(const StepRecord& record);
  // Oldest first; at most the last `most`.
  std::vector<StepRecord> snapshot(size_t most = kSteps) const;

 private:
  mutable std::mutex mutex_;
  std::vector<StepRecord> ring_;  // guarded by mutex_
  uint64_t added_ = 0;            // guarded by mutex_
};

}  // namespace yunqi
