// Speed of one matmul kernel on one core with weights in the second-level cache: operations per
// second by weight format and row count, the least of many short runs, so that a busy machine can
// be used. `yunqi_matmul_bench [isa]` prints JSON lines.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "ops/cpu/dispatch.h"
#include "ops/cpu/packing.h"

namespace yunqi {
namespace {

constexpr int64_t kColumns = 1024, kOutputs = 64;
constexpr int kRuns = 400;

std::unique_ptr<PackedWeight> make_weight(DType dtype, std::vector<std::byte>& bytes) {
  bytes.resize(static_cast<size_t>(*dtype_bytes(dtype, kColumns * kOutputs)));
  uint64_t state = 1;
  for (std::byte& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<std::byte>((state >> 40) & 0x1f);
  }
  ThreadPool pool(1);
  const WeightSource part{dtype, kOutputs, kColumns, bytes, "bench"};
  return std::move(PackedWeight::pack({&part, 1}, {}, {}, pool)).value();
}

void bench_format(const Kernels& kernels, DType dtype) {
  std::vector<std::byte> bytes;
  const auto weight = make_weight(dtype, bytes);
  const WeightSegment& segment = weight->segments()[0];
  alignas(64) static uint8_t scratch[kMatmulScratch];
  for (const int64_t rows : {1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 64, 128}) {
    const int64_t blocks = kColumns / kBlock;
    std::vector<float> x(static_cast<size_t>(rows * kColumns));
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 97) - 48.0f;
    std::vector<int8_t> codes(x.size());
    std::vector<BlockScale> scales(static_cast<size_t>(rows * blocks));
    for (int64_t r = 0; r < rows; ++r) {
      kernels.quantize_row(x.data() + r * kColumns, kColumns,
                           {codes.data() + r * kColumns, scales.data() + r * blocks});
    }
    std::vector<float> tile(static_cast<size_t>(rows * kOutputs));
    MatmulArgs args{};
    args.format = segment.format;
    args.groups = segment.data;
    args.group_bytes = segment.group_bytes;
    args.group_count = segment.groups();
    args.columns = kColumns;
    args.rows = rows;
    args.x = x.data();
    args.x_stride = kColumns;
    args.q = {codes.data(), scales.data()};
    args.tile = tile.data();
    args.tile_stride = kOutputs;
    args.scratch = scratch;
    int64_t least = INT64_MAX;
    for (int run = 0; run < kRuns; ++run) {
      const int64_t begin = system_clock().now_ns();
      kernels.matmul(args);
      least = std::min(least, system_clock().now_ns() - begin);
    }
    const double ns = static_cast<double>(least);
    fmt::print(
        "{{\"bench\":\"matmul\",\"isa\":\"{}\",\"dtype\":\"{}\",\"rows\":{},\"gops\":{:.1f},"
        "\"weight_gb_per_s\":{:.2f}}}\n",
        kernels.name, dtype_info(dtype).name, rows,
        2.0 * static_cast<double>(rows * kOutputs * kColumns) / ns,
        static_cast<double>(weight->bytes()) / ns);
  }
}

int run(std::string_view isa) {
  const auto kernels = select_kernels(isa);
  if (!kernels.is_ok()) {
    fmt::print(stderr, "{}\n", kernels.status().message());
    return 1;
  }
  for (const DType dtype :
       {DType::kQ4_0, DType::kQ4_K, DType::kQ5_0, DType::kQ5_K, DType::kQ6_K, DType::kQ8_0}) {
    bench_format(**kernels, dtype);
  }
  return 0;
}

}  // namespace
}  // namespace yunqi

int main(int argc, char** argv) { return yunqi::run(argc > 1 ? argv[1] : ""); }
