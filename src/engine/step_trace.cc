// See step_trace.h.
#include "engine/step_trace.h"

#include <algorithm>

namespace yunqi {

void StepTrace::add(const StepRecord& record) {
  const std::lock_guard lock(mutex_);
  ring_[added_++ % ring_.size()] = record;
}

std::vector<StepRecord> StepTrace::snapshot(size_t most) const {
  std::vector<StepRecord> out;
  out.reserve(std::min(most, ring_.size()));
  const std::lock_guard lock(mutex_);
  const uint64_t count = std::min<uint64_t>({added_, ring_.size(), most});
  for (uint64_t i = added_ - count; i < added_; ++i) out.push_back(ring_[i % ring_.size()]);
  return out;
}

}  // namespace yunqi
