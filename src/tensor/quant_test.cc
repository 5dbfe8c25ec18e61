// Decoders against goldens of the public gguf package (bit by bit), encoders against error bounds.
#include "tensor/quant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace yunqi {
namespace {

constexpr DType kBlockTypes[] = {
    DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0,   DType::kQ2_K,
    DType::kQ3_K, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS,
};

std::vector<char> read_golden(DType dtype) {
  const std::string path = std::string(YUNQI_SOURCE_DIR) + "/tests/golden/quant/" +
                           std::string(dtype_info(dtype).name) + ".bin";
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void expect_golden(DType dtype) {
  const DTypeInfo& info = dtype_info(dtype);
  SCOPED_TRACE(std::string(info.name));
  const std::vector<char> golden = read_golden(dtype);
  const size_t per_block = info.block_bytes + sizeof(float) * info.block_elements;
  ASSERT_GT(golden.size(), 0u);
  ASSERT_EQ(golden.size() % per_block, 0u);
  const size_t blocks = golden.size() / per_block;
  std::vector<float> want(blocks * info.block_elements), got(want.size());
  std::memcpy(want.data(), golden.data() + blocks * info.block_bytes, want.size() * sizeof(float));
  const std::span<const char> raw(golden.data(), blocks * info.block_bytes);
  ASSERT_TRUE(dequantize(dtype, std::as_bytes(raw), got).is_ok());
  for (size_t i = 0; i < want.size(); ++i) {
    if (std::isnan(want[i])) {
      EXPECT_TRUE(std::isnan(got[i])) << i;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(want[i])) << i;
    }
  }
}

TEST(Dequantize, EveryBlockTypeEqualsItsGoldenBitForBit) {
  for (const DType dtype : kBlockTypes) expect_golden(dtype);
}

TEST(Dequantize, Fp8EqualsItsGolden) { expect_golden(DType::kF8E4M3); }

TEST(Dequantize, PlainFloatsAreExact) {
  const std::vector<float> values = {0.0f, -0.0f, 1.0f, -2.5f, 65504.0f, 0x1p-24f};
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    std::vector<std::byte> bytes(*dtype_bytes(dtype, values.size()));
    ASSERT_TRUE(quantize(dtype, values, bytes).is_ok());
    std::vector<float> back(values.size());
    ASSERT_TRUE(dequantize(dtype, bytes, back).is_ok());
    for (size_t i = 0; i < values.size(); ++i) {
      const float want = dtype == DType::kBF16 ? to_float(to_bf16(values[i])) : values[i];
      EXPECT_EQ(std::bit_cast<uint32_t>(back[i]), std::bit_cast<uint32_t>(want)) << i;
    }
  }
}

TEST(Dequantize, WrongSizesAndTypesAreErrors) {
  std::vector<std::byte> bytes(144);
  std::vector<float> out(256);
  EXPECT_TRUE(dequantize(DType::kQ4_K, bytes, out).is_ok());
  EXPECT_EQ(dequantize(DType::kQ4_K, std::span(bytes).first(143), out).code(),
            Code::kInvalidArgument);
  EXPECT_EQ(dequantize(DType::kQ4_K, bytes, std::span(out).first(255)).code(),
            Code::kInvalidArgument);
  EXPECT_EQ(dequantize(DType::kI32, std::span(bytes).first(16), std::span(out).first(4)).code(),
            Code::kUnsupported);
  EXPECT_TRUE(dequantize(DType::kF32, {}, {}).is_ok());
}

TEST(DequantizeProperty, ReadsUnalignedBytes) {
  std::vector<std::byte> storage(4 * 8 + 1);
  std::vector<float> values = {1, 2, 3, 4, 5, 6, 7, 8}, out(8);
  ASSERT_TRUE(quantize(DType::kF32, values, std::span(storage).subspan(1)).is_ok());
  ASSERT_TRUE(dequantize(DType::kF32, std::span(storage).subspan(1), out).is_ok());
  EXPECT_EQ(out, values);
}

// The largest error a block may show, as a part of its largest magnitude: half a step, or a whole
// one where the code range is lopsided, plus what rounding the scales costs.
struct Bound {
  DType dtype;
  float of_largest;
};
constexpr Bound kBounds[] = {
    {DType::kQ8_0, 0.5f / 127 + 0.001f},
    {DType::kQ4_0, 1.0f / 8 + 0.001f},
    {DType::kQ5_0, 1.0f / 16 + 0.001f},
    {DType::kQ4_K, 0.1f},
    {DType::kQ6_K, 0.036f},
};

TEST(Quantize, RoundTripErrorIsBounded) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  for (const Bound& bound : kBounds) {
    const DTypeInfo& info = dtype_info(bound.dtype);
    SCOPED_TRACE(std::string(info.name));
    for (int round = 0; round < 300; ++round) {
      // Not smaller: sub-block scales would become subnormal 16-bit floats and lose their bits.
      const float size = std::pow(10.0f, static_cast<float>(round % 5) - 1.0f);
      std::vector<float> values(info.block_elements), back(values.size());
      float largest = 0;
      for (float& value : values) {
        value = normal(random) * size + (round % 7 == 0 ? 3 * size : 0.0f);
        largest = std::max(largest, std::fabs(value));
      }
      std::vector<std::byte> bytes(info.block_bytes);
      ASSERT_TRUE(quantize(bound.dtype, values, bytes).is_ok());
      ASSERT_TRUE(dequantize(bound.dtype, bytes, back).is_ok());
      for (size_t i = 0; i < values.size(); ++i) {
        ASSERT_LE(std::fabs(values[i] - back[i]), bound.of_largest * largest)
            << "round " << round << " element " << i;
      }
    }
  }
}

TEST(Quantize, ValuesOnTheGridComeBackExactly) {
  for (const Bound& bound : kBounds) {
    const DTypeInfo& info = dtype_info(bound.dtype);
    SCOPED_TRACE(std::string(info.name));
    std::vector<float> values(info.block_elements), back(values.size());
    // Q4_K's grid of 16 levels starts at its sub-block's minimum; the others are around zero.
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = bound.dtype == DType::kQ4_K ? 63.0f * static_cast<float>(i % 16)
                  : bound.dtype == DType::kQ6_K
                      ? 128.0f * (static_cast<float>(i % 16) - 8.0f) * (i % 16 == 0 ? 4.0f : 1.0f)
                  : bound.dtype == DType::kQ8_0 ? static_cast<float>(i % 32) * 4 + 3 - 64 + 64
                                                : static_cast<float>(i % 8) - 8.0f;
    }
    if (bound.dtype == DType::kQ8_0) values[0] = 127;
    if (bound.dtype == DType::kQ5_0) values[0] = -16;
    std::vector<std::byte> bytes(info.block_bytes);
    ASSERT_TRUE(quantize(bound.dtype, values, bytes).is_ok());
    ASSERT_TRUE(dequantize(bound.dtype, bytes, back).is_ok());
    EXPECT_EQ(back, values);
  }
}

TEST(Quantize, ZeroBlocksAndTinyValuesStayFinite) {
  for (const Bound& bound : kBounds) {
    const DTypeInfo& info = dtype_info(bound.dtype);
    for (const float fill : {0.0f, 1e-30f, -1e-30f, std::numeric_limits<float>::denorm_min()}) {
      std::vector<float> values(info.block_elements, fill), back(values.size(), 1.0f);
      std::vector<std::byte> bytes(info.block_bytes);
      ASSERT_TRUE(quantize(bound.dtype, values, bytes).is_ok());
      ASSERT_TRUE(dequantize(bound.dtype, bytes, back).is_ok());
      for (const float value : back) ASSERT_EQ(value, 0.0f) << info.name;
    }
  }
}

TEST(Quantize, NonFiniteAndHugeValuesAreErrors) {
  for (const Bound& bound : kBounds) {
    const DTypeInfo& info = dtype_info(bound.dtype);
    std::vector<std::byte> bytes(info.block_bytes);
    for (const float bad :
         {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 3e38f}) {
      std::vector<float> values(info.block_elements, 1.0f);
      values.back() = bad;
      EXPECT_EQ(quantize(bound.dtype, values, bytes).code(), Code::kInvalidArgument) << info.name;
    }
  }
}

TEST(Quantize, TypesWithoutAnEncoderAreUnsupported) {
  std::vector<float> values(256, 1.0f);
  std::vector<std::byte> bytes(84);
  EXPECT_EQ(quantize(DType::kQ2_K, values, bytes).code(), Code::kUnsupported);
}

}  // namespace
}  // namespace yunqi
