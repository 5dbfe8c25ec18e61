// See flow_table.h.
#include "engine/flow_table.h"

#include <algorithm>
#include <limits>

namespace yunqi {

FlowAccount* FlowTable::join(uint64_t id, uint32_t weight) {
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [other, account] : flows_) {
    if (account.sequences > 0) least = std::min(least, account.service);
  }
  if (least != std::numeric_limits<double>::infinity()) least_ = least;
  if (flows_.size() > kMaxIdleFlows && !flows_.contains(id)) forget_idle();
  FlowAccount& account = flows_[id];
  account.weight = std::max(weight, 1u);
  if (account.sequences++ == 0) account.service = std::max(account.service, least_);
  return &account;
}

void FlowTable::leave(FlowAccount* account) { --account->sequences; }

// Those that would start at the least anyway; all idle ones when that does not suffice.
void FlowTable::forget_idle() {
  const auto idle = [](const auto& flow) { return flow.second.sequences == 0; };
  std::erase_if(flows_,
                [&](const auto& flow) { return idle(flow) && flow.second.service <= least_; });
  if (flows_.size() > kMaxIdleFlows) std::erase_if(flows_, idle);
}

}  // namespace yunqi
