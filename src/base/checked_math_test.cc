// Tests of checked_math.h at the edges of 64 bits.
#include "base/checked_math.h"

#include <gtest/gtest.h>

namespace yunqi {
namespace {

constexpr uint64_t kMax = UINT64_MAX;

TEST(CheckedMath, AddsAndMultipliesUpToTheLimit) {
  EXPECT_EQ(checked_add(kMax - 1, uint64_t{1}), kMax);
  EXPECT_EQ(checked_add(kMax, uint64_t{1}), std::nullopt);
  EXPECT_EQ(checked_mul(uint64_t{1} << 32, (uint64_t{1} << 32) - 1), kMax - (kMax >> 32));
  EXPECT_EQ(checked_mul(uint64_t{1} << 32, uint64_t{1} << 32), std::nullopt);
  EXPECT_EQ(checked_mul(kMax, uint64_t{0}), 0u);
  EXPECT_EQ(checked_add(INT64_MIN, int64_t{-1}), std::nullopt);
  EXPECT_EQ(checked_mul(INT64_MIN, int64_t{-1}), std::nullopt);
}

TEST(CheckedMath, AlignsUp) {
  EXPECT_EQ(checked_align_up(0, 32), 0u);
  EXPECT_EQ(checked_align_up(1, 32), 32u);
  EXPECT_EQ(checked_align_up(32, 32), 32u);
  EXPECT_EQ(checked_align_up(7, 1), 7u);
  EXPECT_EQ(checked_align_up(kMax - 31, 32), kMax - 31);
  EXPECT_EQ(checked_align_up(kMax - 30, 32), std::nullopt);
  EXPECT_EQ(checked_align_up(1, 0), std::nullopt);
  EXPECT_EQ(checked_align_up(1, 24), std::nullopt);
}

}  // namespace
}  // namespace yunqi
