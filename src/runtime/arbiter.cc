// See arbiter.h. Each engine's time on the device is counted; of those that wait, the one with the
// least goes next.
#include "runtime/arbiter.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <utility>

namespace yunqi {

int StepShares::add() {
  shares_[next_id_] = {};
  return next_id_++;
}

void StepShares::remove(int id) { shares_.erase(id); }

void StepShares::ask(int id, int64_t now_ns) {
  Share& self = shares_.at(id);
  self.waiting = true;
  self.ticket = ++tickets_;
  if (is_recent(self, now_ns)) return;
  // Level with the least of those that compete, when it did not.
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const auto& [other_id, other] : shares_) {
    if (other_id == id || !(other.waiting || other.running || is_recent(other, now_ns))) continue;
    least = std::min(least, other.used_ns);
  }
  if (least != std::numeric_limits<int64_t>::max()) self.used_ns = std::max(self.used_ns, least);
}

int64_t StepShares::turn_of(int id, int64_t now_ns) const {
  const Share& self = shares_.at(id);
  int64_t not_before = 0;
  for (const auto& [other_id, other] : shares_) {
    if (other_id == id) continue;
    if (other.running) return -1;
    const bool first = other.used_ns < self.used_ns ||
                       (other.used_ns == self.used_ns && other.ticket < self.ticket);
    if (other.waiting && first) return -1;
    if (!other.waiting && is_recent(other, now_ns) && other.used_ns + kLeadNs < self.used_ns) {
      not_before = std::max(not_before, other.left_ns + kReturnNs);
    }
  }
  return not_before;
}

void StepShares::begin(int id, int64_t now_ns) {
  Share& self = shares_.at(id);
  self.waiting = false;
  self.running = true;
  self.begun_ns = now_ns;
}

void StepShares::end(int id, int64_t now_ns) {
  Share& self = shares_.at(id);
  self.running = false;
  self.had_step = true;
  self.left_ns = now_ns;
  self.used_ns += now_ns - self.begun_ns;
}

struct StepArbiter::State {
  explicit State(const Clock& clock_in) : clock(clock_in) {}

  const Clock& clock;
  std::mutex mutex;
  std::condition_variable changed;
  StepShares shares;  // guarded by mutex
};

class StepArbiter::Gate final : public StepGate {
 public:
  explicit Gate(std::shared_ptr<State> state) : state_(std::move(state)) {
    std::lock_guard lock(state_->mutex);
    id_ = state_->shares.add();
  }
  ~Gate() override {
    std::lock_guard lock(state_->mutex);
    state_->shares.remove(id_);
    state_->changed.notify_all();
  }

  void enter() override {
    std::unique_lock lock(state_->mutex);
    int64_t now = state_->clock.now_ns();
    state_->shares.ask(id_, now);
    for (int64_t turn; (turn = state_->shares.turn_of(id_, now)) != 0;) {
      if (turn < 0) {
        state_->changed.wait(lock);
      } else {
        state_->changed.wait_for(lock, std::chrono::nanoseconds(turn - now));
      }
      now = state_->clock.now_ns();
    }
    state_->shares.begin(id_, now);
  }

  void leave() override {
    std::lock_guard lock(state_->mutex);
    state_->shares.end(id_, state_->clock.now_ns());
    state_->changed.notify_all();
  }

 private:
  const std::shared_ptr<State> state_;
  int id_ = 0;
};

StepArbiter::StepArbiter(const Clock& clock) : state_(std::make_shared<State>(clock)) {}
StepArbiter::~StepArbiter() = default;

std::shared_ptr<StepGate> StepArbiter::make_gate() { return std::make_shared<Gate>(state_); }

}  // namespace yunqi
