// Rotary tables: accuracy of the sine and cosine, YaRN's ramp, limits.
#include "ops/cpu/rope_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace yunqi {
namespace {

TEST(RopeTableTest, SineAndCosineAreTheNearestFloats) {
  for (int i = 0; i < 200000; ++i) {
    const float x = static_cast<float>(i) * 0.8191f * (i % 3 == 0 ? 1.0f : 0.013f);
    float sine, cosine;
    sin_cos(x, sine, cosine);
    // Half a unit in the last place of a number up to 1, and a hair for the double's own error.
    ASSERT_NEAR(static_cast<double>(sine), std::sin(static_cast<double>(x)), 3.0e-8) << x;
    ASSERT_NEAR(static_cast<double>(cosine), std::cos(static_cast<double>(x)), 3.0e-8) << x;
  }
}

TEST(RopeTableTest, FrequenciesFallGeometrically) {
  const auto frequencies = rope_inverse_frequencies({.rotary_dim = 64, .theta = 1e6});
  ASSERT_EQ(frequencies.size(), 32u);
  EXPECT_EQ(frequencies[0], 1.0f);
  for (int i = 0; i < 32; ++i) {
    EXPECT_NEAR(static_cast<double>(frequencies[static_cast<size_t>(i)]) * std::pow(1e6, i / 32.0),
                1.0, 1e-6);
  }
}

TEST(RopeTableTest, YarnKeepsFastAndStretchesSlowPairs) {
  RopeSpec spec{.rotary_dim = 128, .theta = 1e6};
  const auto plain = rope_inverse_frequencies(spec);
  spec.yarn_factor = 4.0;
  spec.yarn_original_positions = 32768;
  const auto yarn = rope_inverse_frequencies(spec);
  EXPECT_EQ(yarn[0], plain[0]);
  EXPECT_EQ(yarn[20], plain[20]);
  EXPECT_FLOAT_EQ(yarn[63], plain[63] / 4.0f);
  // The ramp runs from pair 23 to pair 40: floor and ceil of the two correction indices.
  EXPECT_EQ(yarn[23], plain[23]);
  EXPECT_LT(yarn[24], plain[24]);
  EXPECT_GT(yarn[39], plain[39] / 4.0f * 1.01f);
  EXPECT_FLOAT_EQ(yarn[40], plain[40] / 4.0f);
}

TEST(RopeTableTest, TableHoldsEachPositionTimesTheFactor) {
  ThreadPool pool(2);
  RopeSpec spec{.rotary_dim = 16, .theta = 1e4, .max_positions = 1000};
  spec.attention_factor = 2.0;
  const auto table = CpuRopeTable::make(spec, pool);
  ASSERT_TRUE(table.is_ok());
  const auto frequencies = rope_inverse_frequencies(spec);
  for (const int64_t position : {0, 1, 511, 999}) {
    for (int64_t i = 0; i < 8; ++i) {
      const double angle =
          static_cast<double>(static_cast<float>(position) * frequencies[static_cast<size_t>(i)]);
      EXPECT_NEAR(static_cast<double>((*table)->cosines(position)[i]), 2 * std::cos(angle), 2e-7);
      EXPECT_NEAR(static_cast<double>((*table)->sines(position)[i]), 2 * std::sin(angle), 2e-7);
    }
  }
}

TEST(RopeTableTest, RefusesNonsense) {
  ThreadPool pool(1);
  const RopeSpec good{.rotary_dim = 64, .theta = 1e4, .max_positions = 8};
  const auto code = [&](auto change) {
    RopeSpec spec = good;
    change(spec);
    return CpuRopeTable::make(spec, pool).status().code();
  };
  EXPECT_EQ(code([](RopeSpec&) {}), Code::kOk);
  EXPECT_EQ(code([](RopeSpec& s) { s.rotary_dim = 63; }), Code::kUnsupported);
  EXPECT_EQ(code([](RopeSpec& s) { s.rotary_dim = 4096; }), Code::kOk);
  EXPECT_EQ(code([](RopeSpec& s) { s.rotary_dim = 4098; }), Code::kUnsupported);
  EXPECT_EQ(code([](RopeSpec& s) { s.max_positions = 0; }), Code::kUnsupported);
  EXPECT_EQ(code([](RopeSpec& s) { s.max_positions = (int64_t{1} << 26) + 1; }),
            Code::kUnsupported);
  EXPECT_EQ(code([](RopeSpec& s) { s.theta = std::numeric_limits<double>::quiet_NaN(); }),
            Code::kBadFile);
  EXPECT_EQ(code([](RopeSpec& s) { s.yarn_factor = 4.0; }), Code::kBadFile);
}

}  // namespace
}  // namespace yunqi
