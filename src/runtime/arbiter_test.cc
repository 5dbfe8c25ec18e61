// Shares of a device in simulated time: equal while wanted, no credit for idleness, no waiting for
// the absent; then the gates, with threads.
#include "runtime/arbiter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace yunqi {
namespace {

constexpr int64_t kUs = 1'000, kMs = 1'000'000;

// An engine that wants a step again `gap_ns` after each, from `from_ns` to `until_ns`.
struct Wanter {
  int64_t step_ns = 0, gap_ns = 100 * kUs, from_ns = 0, until_ns = INT64_MAX;
  int64_t had_ns = 0;  // result: time on the device
  int64_t asks_at = 0;
  bool asking = false;
  int id = 0;
};

// Those whose time has come by `now` ask, each at its time.
void ask_until(StepShares& shares, std::vector<Wanter>& wanters, int64_t now) {
  for (Wanter& one : wanters) {
    if (one.asking || one.asks_at > now || one.asks_at >= one.until_ns) continue;
    shares.ask(one.id, one.asks_at);
    one.asking = true;
  }
}

// Runs them for `total_ns` and returns how long the device stood still.
int64_t simulate(std::vector<Wanter>& wanters, int64_t total_ns) {
  StepShares shares;
  for (Wanter& one : wanters) {
    one.id = shares.add();
    one.asks_at = one.from_ns;
  }
  int64_t idle = 0;
  for (int64_t now = 0; now < total_ns;) {
    ask_until(shares, wanters, now);
    int64_t next = total_ns;  // when something can happen
    Wanter* runs = nullptr;
    for (Wanter& one : wanters) {
      const int64_t turn = one.asking ? shares.turn_of(one.id, now) : -1;
      if (turn == 0) runs = &one;
      if (turn > 0) next = std::min(next, turn);
      if (one.asks_at > now && one.asks_at < one.until_ns) next = std::min(next, one.asks_at);
    }
    if (runs == nullptr) {
      idle += next - now;
      now = next;
      continue;
    }
    shares.begin(runs->id, now);
    now += runs->step_ns;
    ask_until(shares, wanters, now - 1);
    shares.end(runs->id, now);
    runs->had_ns += runs->step_ns;
    runs->asking = false;
    runs->asks_at = now + runs->gap_ns;
  }
  return idle;
}

TEST(StepShares, LongAndShortStepsGetTheSameTime) {
  std::vector<Wanter> wanters = {{.step_ns = 10 * kMs}, {.step_ns = 80 * kMs}, {.step_ns = kMs}};
  const int64_t idle = simulate(wanters, 30'000 * kMs);
  for (const Wanter& one : wanters) {
    // In turn, they would have 11 %, 88 % and 1 %.
    EXPECT_NEAR(static_cast<double>(one.had_ns), 10'000.0 * kMs, 1'000.0 * kMs) << one.step_ns;
  }
  EXPECT_LT(idle, 30'000 * kMs / 10) << "what waiting for the short one's return costs";
}

TEST(StepShares, OneAloneNeverWaits) {
  std::vector<Wanter> wanters = {{.step_ns = 10 * kMs, .gap_ns = 0}, {.from_ns = INT64_MAX}};
  EXPECT_EQ(simulate(wanters, 1'000 * kMs), 0);
}

TEST(StepShares, IdlenessGivesNoCredit) {
  std::vector<Wanter> wanters = {{.step_ns = 10 * kMs},
                                 {.step_ns = 10 * kMs, .from_ns = 5'000 * kMs}};
  simulate(wanters, 10'000 * kMs);
  EXPECT_NEAR(static_cast<double>(wanters[1].had_ns), 2'500.0 * kMs, 100.0 * kMs)
      << "half of the time since it came, not all of it";
}

TEST(StepShares, NobodyWaitsLongForOneThatWentAway) {
  std::vector<Wanter> wanters = {{.step_ns = 50 * kMs}, {.step_ns = kMs, .until_ns = 1'000 * kMs}};
  simulate(wanters, 3'000 * kMs);
  EXPECT_GT(wanters[0].had_ns, (500 + 1'900) * kMs);
}

TEST(StepArbiter, OneStepAtATime) {
  StepArbiter arbiter;
  std::atomic<int> inside{0}, clashes{0}, steps{0};
  std::vector<std::thread> engines;
  for (int i = 0; i < 4; ++i) {
    engines.emplace_back([&] {
      const auto gate = arbiter.make_gate();
      for (int step = 0; step < 200; ++step) {
        gate->enter();
        if (inside.fetch_add(1) != 0) clashes.fetch_add(1);
        std::this_thread::yield();
        steps.fetch_add(1);
        inside.fetch_sub(1);
        gate->leave();
      }
    });
  }
  for (std::thread& engine : engines) engine.join();
  EXPECT_EQ(clashes.load(), 0);
  EXPECT_EQ(steps.load(), 800);
}

TEST(StepArbiter, AGateMayOutliveIt) {
  std::shared_ptr<StepGate> gate;
  {
    StepArbiter arbiter;
    gate = arbiter.make_gate();
  }
  gate->enter();
  gate->leave();
}

}  // namespace
}  // namespace yunqi
