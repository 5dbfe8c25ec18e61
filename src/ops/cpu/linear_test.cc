// The op table of the linear operations: every ISA level x dtype x shape against float64, and the
// metamorphic rules that make results reproducible.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "ops/cpu/op_reference.h"

namespace yunqi {
namespace {

constexpr DType kDTypes[] = {
    DType::kF32,  DType::kF16,  DType::kBF16,   DType::kF8E4M3, DType::kQ4_0, DType::kQ4_1,
    DType::kQ5_0, DType::kQ5_1, DType::kQ8_0,   DType::kQ2_K,   DType::kQ3_K, DType::kQ4_K,
    DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS,
};
constexpr float kEpsilon = 1e-6f;
constexpr Numerics kInt8{ActivationFormat::kInt8, KvFormat::kF16};
constexpr Numerics kFloat{ActivationFormat::kFloat32, KvFormat::kF32};

std::unique_ptr<Weight> prepare(Device& device, std::span<const WeightSource> parts,
                                const Numerics& numerics, std::span<const float> bias = {}) {
  auto weight = device.prepare(parts, bias, numerics);
  YQ_CHECK(weight.is_ok(), "{}", weight.status().message());
  return std::move(weight).value();
}

std::unique_ptr<Ops> ops_for(Device& device, int64_t rows, int64_t columns) {
  auto ops = device.make_ops({rows, columns, 8, 64, 1024}, {});
  YQ_CHECK(ops.is_ok(), "{}", ops.status().message());
  return std::move(ops).value();
}

struct Shape {
  int64_t rows, columns, outputs;
};
// Odd outputs, one block, several units of 256.
constexpr Shape kShapes[] = {{1, 32, 1},  {1, 256, 37},  {2, 512, 64},   {3, 288, 9},   {5, 96, 40},
                             {8, 256, 8}, {17, 512, 72}, {64, 256, 130}, {1, 1280, 200}};

class LinearTest : public testing::TestWithParam<std::string_view> {};

TEST_P(LinearTest, MatchesFloat64ForEveryDtypeAndShape) {
  const auto device = test_device(GetParam());
  uint64_t seed = 1;
  for (const Numerics& numerics : {kInt8, kFloat}) {
    for (const DType dtype : kDTypes) {
      for (const Shape& shape : kShapes) {
        if (shape.columns % dtype_info(dtype).block_elements != 0) continue;
        const TestMatrix matrix = random_matrix(dtype, shape.outputs, shape.columns, ++seed);
        TestRandom random(++seed);
        const auto x = random.values(static_cast<size_t>(shape.rows * shape.columns), 3.0f);
        const auto norm = random.values(static_cast<size_t>(shape.columns));
        const auto bias = random.values(static_cast<size_t>(shape.outputs));
        const WeightSource part = matrix.source();
        const auto weight = prepare(*device, {&part, 1}, numerics, bias);
        const auto ops = ops_for(*device, shape.rows, shape.columns);
        std::vector<float> y(static_cast<size_t>(shape.rows * shape.outputs), 7.0f);
        ops->norm_linear({x.data(), shape.rows, shape.columns}, {norm, kEpsilon}, *weight,
                         {y.data(), shape.rows, shape.outputs});
        std::vector<double> want;
        const bool integer =
            numerics.activations == ActivationFormat::kInt8 && dtype_info(dtype).is_quantized();
        for (int64_t r = 0; r < shape.rows; ++r) {
          const auto row = std::span(x).subspan(static_cast<size_t>(r * shape.columns),
                                                static_cast<size_t>(shape.columns));
          auto normed = reference_norm(row, norm, kEpsilon);
          if (integer) normed = rounded_to_int8(normed);
          for (int64_t n = 0; n < shape.outputs; ++n) {
            want.push_back(dot(matrix.row(n), normed) +
                           static_cast<double>(bias[static_cast<size_t>(n)]));
          }
        }
        // A value between two codes may round either way: one step of one code.
        // With few outputs the largest may itself be a small difference of large terms.
        const double bound = (integer ? 2e-3 : 1e-6) * (shape.outputs < 8 ? 10 : 1);
        EXPECT_LE(relative_error(y, want), bound)
            << dtype_info(dtype).name << (integer ? " int8 " : " float ") << shape.rows << "x"
            << shape.columns << "x" << shape.outputs;
      }
    }
  }
}

TEST_P(LinearTest, GatedLinearAndResidualMatchFloat64) {
  const auto device = test_device(GetParam());
  for (const int64_t outputs : {64, 40, 13}) {
    for (const int64_t rows : {1, 3, 17}) {
      const int64_t columns = 256;
      const TestMatrix gate = random_matrix(DType::kQ5_0, outputs, columns, 5);
      const TestMatrix up = random_matrix(DType::kQ6_K, outputs, columns, 6);
      // The same as one matrix of F32, whose second half begins inside a group of lanes.
      TestMatrix stacked = random_matrix(DType::kF32, 2 * outputs, columns, 7);
      std::copy(gate.floats.begin(), gate.floats.end(), stacked.floats.begin());
      std::copy(up.floats.begin(), up.floats.end(), stacked.floats.begin() + outputs * columns);
      std::memcpy(stacked.bytes.data(), stacked.floats.data(), stacked.bytes.size());
      TestRandom random(8);
      const auto x = random.values(static_cast<size_t>(rows * columns));
      const auto norm = random.values(static_cast<size_t>(columns), 0.5f);
      std::vector<double> want;
      for (int64_t r = 0; r < rows; ++r) {
        const auto normed = reference_norm(
            std::span(x).subspan(static_cast<size_t>(r * columns), static_cast<size_t>(columns)),
            norm, kEpsilon);
        for (int64_t n = 0; n < outputs; ++n) {
          const double g = dot(gate.row(n), normed);
          want.push_back(g / (1.0 + std::exp(-g)) * dot(up.row(n), normed));
        }
      }
      const auto ops = ops_for(*device, rows, columns);
      std::vector<float> y(static_cast<size_t>(rows * outputs));
      const Matrix<float> y_matrix(y.data(), rows, outputs);
      const Matrix<const float> x_matrix(x.data(), rows, columns);
      const WeightSource pair[] = {gate.source(), up.source()};
      ops->norm_gated_linear(x_matrix, {norm, kEpsilon}, *prepare(*device, pair, kFloat), y_matrix);
      EXPECT_LE(relative_error(y, want), 2e-6) << outputs;
      const std::vector<float> parts_result = y;
      const WeightSource one = stacked.source();
      ops->norm_gated_linear(x_matrix, {norm, kEpsilon}, *prepare(*device, {&one, 1}, kFloat),
                             y_matrix);
      EXPECT_EQ(y, parts_result) << outputs;
      ops->norm_gated_linear(x_matrix, {norm, kEpsilon}, *prepare(*device, pair, kInt8), y_matrix);
      EXPECT_LE(relative_error(y, want), 3e-2) << outputs;

      std::vector<float> residual = random.values(static_cast<size_t>(rows * outputs));
      std::vector<double> sum;
      for (int64_t r = 0; r < rows; ++r) {
        const auto row =
            std::span(x).subspan(static_cast<size_t>(r * columns), static_cast<size_t>(columns));
        const std::vector<double> wide(row.begin(), row.end());
        for (int64_t n = 0; n < outputs; ++n) {
          sum.push_back(dot(up.row(n), wide) +
                        static_cast<double>(residual[static_cast<size_t>(r * outputs + n)]));
        }
      }
      const WeightSource up_part = up.source();
      ops->linear_add(x_matrix, *prepare(*device, {&up_part, 1}, kFloat),
                      {residual.data(), rows, outputs});
      EXPECT_LE(relative_error(residual, sum), 1e-6);
    }
  }
}

// Parts of different dtypes, sizes that are no multiple of the lanes, threads 1 to 3, rows alone
// and in batches: all the same bits.
TEST_P(LinearTest, RowsThreadsAndStackingChangeNoBit) {
  const int64_t rows = 67, columns = 1280;  // more than one panel of K
  TestRandom random(11);
  const auto x = random.values(static_cast<size_t>(rows * columns));
  const auto norm = random.values(static_cast<size_t>(columns));
  const TestMatrix parts[] = {
      random_matrix(DType::kQ5_0, 72, columns, 1),  random_matrix(DType::kQ8_0, 13, columns, 2),
      random_matrix(DType::kQ4_K, 41, columns, 3),  random_matrix(DType::kQ6_K, 33, columns, 4),
      random_matrix(DType::kBF16, 19, columns, 5),  random_matrix(DType::kF32, 16, columns, 6),
      random_matrix(DType::kQ2_K, 20, columns, 7),  random_matrix(DType::kIQ4_XS, 24, columns, 8),
      random_matrix(DType::kQ4_0, 24, columns, 9),  random_matrix(DType::kF16, 9, columns, 10),
      random_matrix(DType::kQ5_K, 17, columns, 12), random_matrix(DType::kQ3_K, 8, columns, 13),
      random_matrix(DType::kQ4_1, 8, columns, 14),  random_matrix(DType::kQ5_1, 8, columns, 15),
  };
  std::vector<WeightSource> sources;
  int64_t outputs = 0;
  for (const TestMatrix& part : parts) {
    sources.push_back(part.source());
    outputs += part.rows;
  }
  std::vector<float> first;
  for (const int threads : {1, 2, 3}) {
    const auto device = test_device(GetParam(), threads);
    const auto ops = ops_for(*device, rows, columns);
    const auto weight = prepare(*device, sources, kInt8);
    for (const int64_t batch : {int64_t{1}, int64_t{2}, int64_t{3}, int64_t{5}, int64_t{8},
                                int64_t{17}, int64_t{33}, rows}) {
      std::vector<float> y(static_cast<size_t>(rows * outputs));
      for (int64_t r = 0; r < rows; r += batch) {
        const int64_t count = std::min(batch, rows - r);
        ops->norm_linear({x.data() + r * columns, count, columns}, {norm, kEpsilon}, *weight,
                         {y.data() + r * outputs, count, outputs});
      }
      if (first.empty()) first = y;
      EXPECT_EQ(std::memcmp(y.data(), first.data(), y.size() * sizeof(float)), 0)
          << threads << " threads, batches of " << batch;
    }
    int64_t begin = 0;
    for (const WeightSource& source : sources) {
      std::vector<float> y(static_cast<size_t>(rows * source.rows));
      ops->norm_linear({x.data(), rows, columns}, {norm, kEpsilon},
                       *prepare(*device, {&source, 1}, kInt8), {y.data(), rows, source.rows});
      for (int64_t r = 0; r < rows; ++r) {
        EXPECT_EQ(std::memcmp(y.data() + r * source.rows, first.data() + r * outputs + begin,
                              static_cast<size_t>(source.rows) * sizeof(float)),
                  0)
            << dtype_info(source.dtype).name;
      }
      begin += source.rows;
    }
  }
}

TEST_P(LinearTest, EmbedReadsExactlyTheFilesValues) {
  const auto device = test_device(GetParam());
  for (const DType dtype : kDTypes) {
    const TestMatrix table = random_matrix(dtype, 37, 512, 21);
    const WeightSource part = table.source();
    for (const Numerics& numerics : {kInt8, kFloat}) {
      const auto weight = prepare(*device, {&part, 1}, numerics);
      std::vector<int32_t> ids;
      for (int32_t i = 36; i >= 0; --i) ids.push_back(i);
      std::vector<float> x(37 * 512);
      ops_for(*device, 37, 512)->embed(*weight, ids, {x.data(), 37, 512});
      for (size_t i = 0; i < ids.size(); ++i) {
        const auto want = table.row(ids[i]);
        ASSERT_TRUE(std::equal(want.begin(), want.end(), x.begin() + static_cast<int64_t>(i) * 512))
            << dtype_info(dtype).name << " row " << ids[i];
      }
    }
  }
}

TEST_P(LinearTest, NoNumberInTheInputStaysInItsRow) {
  const auto device = test_device(GetParam());
  const TestMatrix matrix = random_matrix(DType::kQ4_K, 16, 256, 3);
  const WeightSource part = matrix.source();
  const auto weight = prepare(*device, {&part, 1}, kInt8);
  const auto ops = ops_for(*device, 3, 256);
  std::vector<float> x(3 * 256, 1.0f), norm(256, 1.0f), y(3 * 16), clean(16);
  ops->norm_linear({x.data(), 1, 256}, {norm, kEpsilon}, *weight, {clean.data(), 1, 16});
  x[256 + 7] = std::numeric_limits<float>::quiet_NaN();
  x[256 + 9] = std::numeric_limits<float>::infinity();
  ops->norm_linear({x.data(), 3, 256}, {norm, kEpsilon}, *weight, {y.data(), 3, 16});
  EXPECT_EQ(std::memcmp(y.data(), clean.data(), 64), 0);
  EXPECT_EQ(std::memcmp(y.data() + 32, clean.data(), 64), 0);
}

INSTANTIATE_TEST_SUITE_P(Isa, LinearTest, testing::ValuesIn(cpu_isa_levels()),
                         [](const auto& level) { return std::string(level.param); });

TEST(PrepareTest, RefusesWhatItCannotPack) {
  const auto device = test_device("generic", 1);
  const std::vector<std::byte> bytes(4096);
  const auto code_of = [&](std::vector<WeightSource> parts, std::vector<float> bias = {}) {
    return device->prepare(parts, bias, kInt8).status().code();
  };
  EXPECT_EQ(code_of({}), Code::kInvalidArgument);
  EXPECT_EQ(code_of({{DType::kF32, 32, 32, bytes, "good"}}), Code::kOk);
  EXPECT_EQ(code_of({{DType::kF32, 31, 32, bytes, "long"}}), Code::kBadFile);
  EXPECT_EQ(code_of({{DType::kF32, 0, 32, {}, "empty"}}), Code::kBadFile);
  EXPECT_EQ(code_of({{DType::kF32, int64_t{1} << 62, 32, bytes, "huge"}}), Code::kBadFile);
  EXPECT_EQ(code_of({{DType::kF32, 64, 16, bytes, "narrow"}}), Code::kUnsupported);
  EXPECT_EQ(code_of({{DType::kI32, 32, 32, bytes, "integers"}}), Code::kUnsupported);
  EXPECT_EQ(code_of({{DType::kQ4_K, 1, 32, bytes, "block"}}), Code::kBadFile);
  EXPECT_EQ(code_of({{DType::kF32, 32, 32, bytes, "a"}, {DType::kF32, 16, 64, bytes, "b"}}),
            Code::kBadFile);
  EXPECT_EQ(code_of({{DType::kF32, 32, 32, bytes, "bias"}}, {1.0f}), Code::kBadFile);
}

TEST(CpuDeviceTest, NamesWhatRunsAndRefusesWhatDoesNot) {
  EXPECT_EQ(test_device("generic", 2)->description(), "cpu (generic, 2 threads)");
  EXPECT_NE(test_device("generic", 2)->numerics_id(),
            test_device(cpu_isa_levels().front(), 1)->numerics_id() + "x");
  EXPECT_EQ(make_cpu_device({1, "mmx"}).status().code(), Code::kUnsupported);
  EXPECT_EQ(make_cpu_device({-1, ""}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(cpu_isa_levels().back(), "generic");
  EXPECT_EQ(test_device("generic", 1)->allocate(~size_t{0}).status().code(), Code::kNoResources);
}

}  // namespace
}  // namespace yunqi
