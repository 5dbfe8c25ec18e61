// Tests of clock.h.
#include "base/clock.h"

#include <gtest/gtest.h>

namespace yunqi {
namespace {

TEST(Clock, TheSystemClockNeverRunsBackwards) {
  const Clock& clock = system_clock();
  int64_t last = clock.now_ns();
  for (int i = 0; i < 1000; ++i) {
    const int64_t now = clock.now_ns();
    ASSERT_GE(now, last);
    last = now;
  }
  EXPECT_GT(clock.unix_seconds(), 1'600'000'000);
}

TEST(Clock, TheVirtualClockMovesOnlyWhenTold) {
  VirtualClock clock;
  const int64_t start = clock.now_ns();
  EXPECT_EQ(clock.now_ns(), start);
  clock.advance_ns(2'500'000'000);
  EXPECT_EQ(clock.now_ns() - start, 2'500'000'000);
  EXPECT_EQ(clock.unix_seconds(), VirtualClock().unix_seconds() + 2);
}

}  // namespace
}  // namespace yunqi
