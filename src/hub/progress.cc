// The rate is an exponential average over intervals of at least half a second, so that it neither
// jumps with each packet nor lags minutes behind.
#include "hub/progress.h"

#include <algorithm>
#include <utility>

namespace yunqi {
namespace {

constexpr int64_t kTellEveryNs = 100'000'000;
constexpr int64_t kRateIntervalNs = 500'000'000;
constexpr double kNewWeight = 0.3;

}  // namespace

ProgressMeter::ProgressMeter(std::function<void(const PullProgress&)> listener, const Clock& clock)
    : listener_(std::move(listener)), clock_(clock), rate_since_ns_(clock.now_ns()) {
  last_told_ns_ = clock.now_ns() - kTellEveryNs;
}

void ProgressMeter::begin(std::string file, std::string state) {
  const std::lock_guard lock(mutex_);
  progress_.file = std::move(file);
  progress_.state = std::move(state);
  tell(false);
}

void ProgressMeter::set_total(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  progress_.total_bytes = bytes;
}

void ProgressMeter::add(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  progress_.done_bytes += bytes;
  rate_bytes_ += bytes;
  measure();
  tell(progress_.total_bytes != 0 && progress_.done_bytes == progress_.total_bytes);
}

void ProgressMeter::tick() {
  const std::lock_guard lock(mutex_);
  measure();
  tell(false);
}

void ProgressMeter::measure() {
  const int64_t now = clock_.now_ns();
  const int64_t passed = now - rate_since_ns_;
  if (passed >= kRateIntervalNs) {
    const double rate = static_cast<double>(rate_bytes_) * 1e9 / static_cast<double>(passed);
    double& smooth = progress_.bytes_per_second;
    smooth = smooth == 0 ? rate : smooth + kNewWeight * (rate - smooth);
    rate_since_ns_ = now;
    rate_bytes_ = 0;
  }
}

void ProgressMeter::add_kept(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  progress_.done_bytes += bytes;
  tell(progress_.total_bytes != 0 && progress_.done_bytes == progress_.total_bytes);
}

void ProgressMeter::take_back(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  progress_.done_bytes -= std::min(bytes, progress_.done_bytes);
  tell(false);
}

uint64_t ProgressMeter::done_bytes() const {
  const std::lock_guard lock(mutex_);
  return progress_.done_bytes;
}

void ProgressMeter::tell(bool at_once) {
  if (!listener_) return;
  const int64_t now = clock_.now_ns();
  if (!at_once && now - last_told_ns_ < kTellEveryNs) return;
  last_told_ns_ = now;
  listener_(progress_);
}

}  // namespace yunqi
