// Sizes of types, and 16-bit and 8-bit floats over their whole range.
#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace yunqi {
namespace {

TEST(DType, BytesCountWholeBlocksAndNeverWrap) {
  EXPECT_EQ(dtype_bytes(DType::kF32, 3), 12u);
  EXPECT_EQ(dtype_bytes(DType::kQ4_K, 512), 288u);
  EXPECT_EQ(dtype_bytes(DType::kQ4_K, 511), std::nullopt);
  EXPECT_EQ(dtype_bytes(DType::kQ8_0, 0), 0u);
  EXPECT_EQ(dtype_bytes(DType::kF32, uint64_t{1} << 62), std::nullopt);
  EXPECT_EQ(dtype_bytes(DType::kF64, (uint64_t{1} << 61) - 1), ~uint64_t{0} - 7);
  EXPECT_EQ(dtype_info(DType::kIQ4_XS).name, "iq4_xs");
  EXPECT_TRUE(dtype_info(DType::kQ8_0).is_quantized());
  EXPECT_FALSE(dtype_info(DType::kBF16).is_quantized());
}

TEST(Float16, EveryValueRoundTrips) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const f16 value{static_cast<uint16_t>(bits)};
    const float wide = to_float(value);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(to_float(to_f16(wide))));
    } else {
      ASSERT_EQ(to_f16(wide).bits, bits);
    }
  }
}

TEST(Float16, RoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {  // every pair of finite neighbours
    const float low = to_float(f16{static_cast<uint16_t>(bits)});
    const float high = to_float(f16{static_cast<uint16_t>(bits + 1)});
    const float middle = low + (high - low) / 2;  // exact: one bit more than f16 keeps
    const uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    ASSERT_EQ(to_f16(middle).bits, even);
    ASSERT_EQ(to_f16(std::nextafterf(middle, low)).bits, bits);
    ASSERT_EQ(to_f16(std::nextafterf(middle, high)).bits, bits + 1);
    ASSERT_EQ(to_f16(-middle).bits, even | 0x8000u);
  }
  EXPECT_EQ(to_f16(65519.996f).bits, 0x7bff);
  EXPECT_EQ(to_f16(65520.0f).bits, 0x7c00);
  EXPECT_EQ(to_f16(-std::numeric_limits<float>::infinity()).bits, 0xfc00);
  EXPECT_EQ(to_f16(1e-30f).bits, 0);
}

TEST(BFloat16, RoundsToNearestEvenAndKeepsNan) {
  EXPECT_EQ(to_bf16(1.0f).bits, 0x3f80);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f808000u)).bits, 0x3f80);  // a tie goes to even
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f818000u)).bits, 0x3f82);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f808001u)).bits, 0x3f81);
  EXPECT_EQ(to_bf16(std::numeric_limits<float>::max()).bits, 0x7f80);
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::bit_cast<float>(0x7f800001u)))));
  EXPECT_EQ(to_float(bf16{0xc040}), -3.0f);
}

TEST(Float8, KnownValues) {
  EXPECT_EQ(f8e4m3_to_float(0x00), 0.0f);
  EXPECT_EQ(f8e4m3_to_float(0x01), 0x1p-9f);
  EXPECT_EQ(f8e4m3_to_float(0x38), 1.0f);
  EXPECT_EQ(f8e4m3_to_float(0x7e), 448.0f);
  EXPECT_EQ(f8e4m3_to_float(0xb8), -1.0f);
  EXPECT_TRUE(std::isnan(f8e4m3_to_float(0x7f)));
  EXPECT_TRUE(std::isnan(f8e4m3_to_float(0xff)));
}

}  // namespace
}  // namespace yunqi
