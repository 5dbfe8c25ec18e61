// See running_requests.h.
#include "service/running_requests.h"

#include <algorithm>
#include <utility>

namespace yunqi {

void RunningRequests::add(const std::string& id, std::weak_ptr<ThinkingControl> control) {
  std::lock_guard lock(mutex_);
  if (running_.size() >= prune_at_) {
    std::erase_if(running_, [](const auto& entry) { return entry.second.expired(); });
    prune_at_ = std::max(kPruneAbove, 2 * running_.size());
  }
  running_[id] = std::move(control);
}

bool RunningRequests::finish_thinking(const std::string& id) {
  std::shared_ptr<ThinkingControl> control;
  {
    std::lock_guard lock(mutex_);
    const auto found = running_.find(id);
    if (found == running_.end()) return false;
    control = found->second.lock();
  }
  if (control == nullptr) return false;
  control->finish.store(true);
  return true;
}

size_t RunningRequests::size() const {
  std::lock_guard lock(mutex_);
  return running_.size();
}

}  // namespace yunqi
