// Progress on a virtual clock: how often it is told, the smoothed rate, what counts for it.
#include "hub/progress.h"

#include <gtest/gtest.h>

namespace yunqi {
namespace {

constexpr int64_t kMs = 1'000'000;

TEST(ProgressMeter, TellsAtMostTenTimesASecond) {
  VirtualClock clock;
  int told = 0;
  PullProgress last;
  ProgressMeter meter(
      [&](const PullProgress& progress) {
        ++told;
        last = progress;
      },
      clock);
  meter.set_total(1'000'000);
  meter.begin("f", "downloading");
  EXPECT_EQ(told, 1);
  for (int i = 0; i < 1000; ++i) {  // one second
    clock.advance_ns(kMs);
    meter.add(10);
  }
  EXPECT_LE(told, 11);
  EXPECT_GE(told, 10);
  EXPECT_EQ(last.file, "f");
  EXPECT_EQ(last.state, "downloading");
  EXPECT_EQ(last.done_bytes, 10'000u);
  meter.add(990'000);  // the end is always told
  EXPECT_EQ(last.done_bytes, 1'000'000u);
}

TEST(ProgressMeter, RateIsOfWhatArrivesAndFallsInAStall) {
  VirtualClock clock;
  PullProgress last;
  ProgressMeter meter([&](const PullProgress& progress) { last = progress; }, clock);
  meter.add_kept(1'000'000);  // from an earlier try
  for (int i = 0; i < 20; ++i) {
    clock.advance_ns(100 * kMs);
    meter.add(100'000);
  }
  EXPECT_NEAR(last.bytes_per_second, 1e6, 1e3);
  EXPECT_EQ(last.done_bytes, 3'000'000u);
  for (int i = 0; i < 100; ++i) {
    clock.advance_ns(100 * kMs);
    meter.tick();
  }
  EXPECT_LT(last.bytes_per_second, 1e4);
  meter.take_back(5'000'000);
  EXPECT_EQ(meter.done_bytes(), 0u);
}

}  // namespace
}  // namespace yunqi
