// The AVX-512 and AVX-VNNI tables, their instructions simulated, must give the bits of the AVX2
// table.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "ops/cpu/dispatch.h"
#include "ops/cpu/op_reference.h"
#include "ops/cpu/packing.h"

namespace yunqi {

// Of kernels_avx512_simulated_test.cc and kernels_avxvnni_simulated_test.cc.
const Kernels* kernels_avx512_simulated();
const Kernels* kernels_avxvnni_simulated();

namespace {

constexpr DType kDTypes[] = {
    DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ4_0,   DType::kQ4_1,
    DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ2_K,   DType::kQ3_K,
    DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_XS,
};

std::vector<float> run(const Kernels& kernels, const PackedWeight& weight,
                       const std::vector<float>& x, int64_t rows) {
  const int64_t columns = weight.columns(), blocks = columns / kBlock;
  std::vector<int8_t> codes(static_cast<size_t>(rows * columns));
  std::vector<BlockScale> scales(static_cast<size_t>(rows * blocks));
  for (int64_t r = 0; r < rows; ++r) {
    kernels.quantize_row(x.data() + r * columns, columns,
                         {codes.data() + r * columns, scales.data() + r * blocks});
  }
  const WeightSegment& segment = weight.segments()[0];
  std::vector<float> tile(static_cast<size_t>(rows * segment.groups() * kLanes), -1.0f);
  alignas(64) static uint8_t scratch[kMatmulScratch];
  MatmulArgs args{};
  args.format = segment.format;
  args.groups = segment.data;
  args.group_bytes = segment.group_bytes;
  args.group_count = segment.groups();
  args.columns = columns;
  args.rows = rows;
  args.x = x.data();
  args.x_stride = columns;
  args.q = {codes.data(), scales.data()};
  args.tile = tile.data();
  args.tile_stride = segment.groups() * kLanes;
  args.scratch = scratch;
  kernels.matmul(args);
  return tile;
}

TEST(VnniKernelsTest, SimulatedTablesGiveTheBitsOfAvx2) {
  if (select_kernels("avx2").status().code() != Code::kOk) GTEST_SKIP() << "needs AVX2";
  ThreadPool pool(1);
  TestRandom random(5);
  for (const DType dtype : kDTypes) {
    const TestMatrix matrix = random_matrix(dtype, 40, 1280, 9);
    const WeightSource part = matrix.source();
    const auto weight = PackedWeight::pack({&part, 1}, {}, {}, pool);
    ASSERT_TRUE(weight.is_ok());
    for (const int64_t rows : {1, 2, 3, 4, 5, 7, 8, 15, 17}) {
      const auto x = random.values(static_cast<size_t>(rows * 1280), 2.0f);
      const auto want = run(*kernels_avx2(), **weight, x, rows);
      for (const Kernels* table : {kernels_avx512_simulated(), kernels_avxvnni_simulated()}) {
        const auto got = run(*table, **weight, x, rows);
        EXPECT_EQ(std::memcmp(got.data(), want.data(), want.size() * sizeof(float)), 0)
            << table->name << ", " << dtype_info(dtype).name << ", " << rows << " rows";
      }
    }
  }
}

}  // namespace
}  // namespace yunqi
