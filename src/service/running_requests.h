// The requests that are being answered, by id, for routes that act on one while it runs. Holds
// nothing alive. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "runtime/guards.h"

namespace yunqi {

class RunningRequests {
 public:
  void add(const std::string& id, std::weak_ptr<ThinkingControl> control);
  // Asks the request to close its thinking; false when no such request runs.
  bool finish_thinking(const std::string& id);
  size_t size() const;  // some may have ended already

 private:
  static constexpr size_t kPruneAbove = 64;  // entries kept before ended ones are looked for
  mutable std::mutex mutex_;
  std::map<std::string, std::weak_ptr<ThinkingControl>> running_;  // guarded by mutex_
  size_t prune_at_ = kPruneAbove;                                  // guarded by mutex_
};

}  // namespace yunqi
