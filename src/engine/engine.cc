// The engine's thread around EngineCore: steps while there is work, sleeps on the doorbell when
// not.
#include "engine/engine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "engine/engine_core.h"

namespace yunqi {
namespace {

class ThreadedEngine final : public Engine {
 public:
  ThreadedEngine(std::unique_ptr<Executor> executor, const EngineOptions& options,
                 const Clock& clock, MetricsRegistry* metrics)
      : clock_(clock), core_(std::move(executor), options, clock, metrics) {
    thread_ = std::thread([this] { run(); });
  }

  ~ThreadedEngine() override {
    core_.stop_admission();
    stop_.store(true, std::memory_order_release);
    core_.doorbell().ring();
    thread_.join();
  }

  Result<std::shared_ptr<TokenStream>> submit(EngineRequest request) override {
    return core_.submit(std::move(request));
  }

  void drain(int64_t timeout_ms) override {
    core_.stop_admission();
    std::unique_lock lock(mutex_);
    draining_.store(true, std::memory_order_release);
    core_.doorbell().ring();
    const auto drained = [this] { return drained_; };
    if (drained_changed_.wait_for(lock, std::chrono::milliseconds(std::max<int64_t>(timeout_ms, 0)),
                                  drained)) {
      return;
    }
    stop_.store(true, std::memory_order_release);
    core_.doorbell().ring();
    drained_changed_.wait(lock, drained);
  }

  EngineStats stats() const override { return core_.stats(); }
  const ExecutorLimits& limits() const override { return core_.limits(); }
  std::vector<StepRecord> trace() const override { return core_.trace().snapshot(); }

 private:
  void run() {
    while (!stop_.load(std::memory_order_acquire)) {
      // Seen before idle(): after admission stopped, what is idle stays idle.
      const bool draining = draining_.load(std::memory_order_acquire);
      if (core_.step()) continue;
      if (core_.idle()) {
        if (draining) break;
        core_.doorbell().wait(-1);
      } else {
        wait_for_readers();
      }
    }
    core_.stop_admission();
    core_.end_all(FinishReason::kShutdown, Status::ok());
    const std::lock_guard lock(mutex_);
    drained_ = true;
    drained_changed_.notify_all();
  }

  // Every reader is slow: until one reads or cancels, something arrives, or a deadline passes.
  void wait_for_readers() {
    const int64_t deadline = core_.next_deadline_ns();
    core_.doorbell().wait(deadline == 0 ? -1 : std::max<int64_t>(deadline - clock_.now_ns(), 0));
  }

  const Clock& clock_;
  EngineCore core_;
  std::atomic<bool> stop_{false}, draining_{false};
  std::mutex mutex_;
  std::condition_variable drained_changed_;
  bool drained_ = false;  // guarded by mutex_; the thread has ended all requests
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Engine> Engine::create(std::unique_ptr<Executor> executor,
                                       const EngineOptions& options, const Clock& clock,
                                       MetricsRegistry* metrics) {
  return std::make_unique<ThreadedEngine>(std::move(executor), options, clock, metrics);
}

}  // namespace yunqi
