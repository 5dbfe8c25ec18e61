// See thread_pool.h. A region is published by bumping `generation`; workers enter it by counting
// themselves into `gate` while it is open, and the caller closes the gate when the work has run out
// and waits only for those inside. A worker that is asleep or preempted is never waited for.
#include "base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "base/check.h"

namespace yunqi {
namespace {

// Long enough to bridge the gap between two ops of a step, short enough not to burn a core.
constexpr auto kSpinTime = std::chrono::microseconds(50);
constexpr int kPausesPerClockRead = 32;
constexpr int kMaxThreads = 1024;
// Set in the gate while workers may enter; the bits below count those inside.
constexpr int kGateOpen = 1 << 30;
constexpr size_t kCacheLine = 64;

void pause_core() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm("yield");
#endif
}

// Waits until `done(value)` holds: spinning at first when that is worth it, then asleep.
template <typename Done>
int await(const std::atomic<int>& value, bool spin, Done&& done) {
  int seen = value.load(std::memory_order_acquire);
  if (spin) {
    const auto deadline = std::chrono::steady_clock::now() + kSpinTime;
    do {
      for (int i = 0; i < kPausesPerClockRead && !done(seen); ++i) {
        pause_core();
        seen = value.load(std::memory_order_acquire);
      }
    } while (!done(seen) && std::chrono::steady_clock::now() < deadline);
  }
  while (!done(seen)) {
    value.wait(seen, std::memory_order_acquire);
    seen = value.load(std::memory_order_acquire);
  }
  return seen;
}

}  // namespace

struct ThreadPool::State {
  // The region: written by the caller while the gate is shut and empty, read by those inside.
  Function function = nullptr;
  void* context = nullptr;
  int64_t count = 0;
  int64_t grain = 1;

  // Each on its own line: spinning on one must not slow down work on another.
  alignas(kCacheLine) std::atomic<int64_t> next{0};    // first index not yet claimed
  alignas(kCacheLine) std::atomic<int> gate{0};        // see kGateOpen
  alignas(kCacheLine) std::atomic<int> generation{0};  // bumped once a region and at the end
  std::atomic<bool> stopping{false};
  std::atomic<bool> busy{false};  // a parallel_for is running
  bool spin = true;
  std::vector<std::thread> workers;

  void claim_chunks(int worker) {
    while (true) {
      const int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
      if (begin >= count) return;
      function(context, begin, std::min(begin + grain, count), worker);
    }
  }

  bool enter() {
    int seen = gate.load(std::memory_order_relaxed);
    while ((seen & kGateOpen) != 0) {
      // Acquire pairs with the caller's opening store, which published the region.
      if (gate.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire)) return true;
    }
    return false;
  }

  void leave() {
    if (gate.fetch_sub(1, std::memory_order_acq_rel) == 1) gate.notify_one();
  }

  void work(int worker) {
    int seen = 0;
    while (true) {
      seen = await(generation, spin, [seen](int now) { return now != seen; });
      if (stopping.load(std::memory_order_acquire)) return;
      if (!enter()) continue;
      claim_chunks(worker);
      leave();
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  const int cores = available_cores();
  const int wanted = std::clamp(threads == 0 ? cores : threads, 1, kMaxThreads);
  state_->spin = wanted <= cores;
  state_->workers.reserve(static_cast<size_t>(wanted) - 1);
  for (int worker = 1; worker < wanted; ++worker) {
    state_->workers.emplace_back([state = state_.get(), worker] { state->work(worker); });
  }
}

ThreadPool::~ThreadPool() {
  state_->stopping.store(true, std::memory_order_release);
  state_->generation.fetch_add(1, std::memory_order_release);
  state_->generation.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::run(int64_t count, int64_t grain, void* context, Function function) {
  State& state = *state_;
  YQ_CHECK(!state.busy.exchange(true, std::memory_order_acquire),
           "parallel_for runs already: calls neither nest nor come from two threads at once");
  grain = std::max<int64_t>(grain, 1);
  if (state.workers.empty() || count <= grain) {
    for (int64_t begin = 0; begin < count; begin += grain) {
      function(context, begin, std::min(begin + grain, count), 0);
    }
  } else {
    state.function = function;
    state.context = context;
    state.count = count;
    state.grain = grain;
    state.next.store(0, std::memory_order_relaxed);
    state.gate.store(kGateOpen, std::memory_order_release);
    state.generation.fetch_add(1, std::memory_order_release);
    state.generation.notify_all();
    state.claim_chunks(0);
    state.gate.fetch_sub(kGateOpen, std::memory_order_acq_rel);
    await(state.gate, state.spin, [](int inside) { return inside == 0; });
  }
  state.busy.store(false, std::memory_order_release);
}

}  // namespace yunqi
