// Speed of the CPU operations, as JSON lines: what one weight pass reads per second against the raw
// read bandwidth of the same run, operations per second by number of rows, attention, and a whole
// decode or prefill step of a small Qwen. `yunqi_kernels_bench [part] [threads]`, part: linear,
// attention, step.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "ops/cpu/cpu_device.h"
#include "ops/ops.h"
#include "tensor/quant.h"

namespace yunqi {
namespace {

constexpr double kMinSeconds = 0.25;
constexpr Numerics kNumerics{ActivationFormat::kInt8, KvFormat::kF16};

double now() { return static_cast<double>(system_clock().now_ns()) * 1e-9; }

// Median seconds of one call, over enough calls.
double seconds_of(const std::function<void()>& call) {
  call();
  std::vector<double> times;
  const double start = now();
  while (now() - start < kMinSeconds || times.size() < 5) {
    const double begin = now();
    call();
    times.push_back(now() - begin);
  }
  std::nth_element(times.begin(), times.begin() + static_cast<int64_t>(times.size() / 2),
                   times.end());
  return times[times.size() / 2];
}

// GB/s of all threads adding up memory that no cache holds.
double read_bandwidth(int threads) {
  ThreadPool pool(threads);
  constexpr int64_t kWords = int64_t{48} << 20;
  constexpr int64_t kChunk = int64_t{32} << 10;
  std::vector<uint64_t> data(static_cast<size_t>(kWords), 1);
  std::vector<uint64_t> sums(64 * 8);
  const double seconds = seconds_of([&] {
    pool.parallel_for(kWords / kChunk, 4, [&](int64_t begin, int64_t end, int worker) {
      uint64_t a = 0, b = 0, c = 0, d = 0;
      for (int64_t i = begin * kChunk; i < end * kChunk; i += 4) {
        const uint64_t* at = data.data() + i;
        a += at[0];
        b += at[1];
        c += at[2];
        d += at[3];
      }
      sums[static_cast<size_t>(worker % 64) * 8] += a + b + c + d;
    });
  });
  return static_cast<double>(kWords) * 8 / seconds * 1e-9;
}

struct Source {
  std::vector<std::byte> bytes;
  WeightSource part;
};

// Random small weights; the values do not matter for speed.
Source make_source(DType dtype, int64_t rows, int64_t columns) {
  Source source;
  const auto row_bytes = static_cast<size_t>(*dtype_bytes(dtype, static_cast<uint64_t>(columns)));
  source.bytes.resize(row_bytes * static_cast<size_t>(rows));
  uint64_t state = 1;
  for (std::byte& byte : source.bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<std::byte>((state >> 40) & 0x1f);
  }
  source.part = {dtype, rows, columns, source.bytes, "bench"};
  return source;
}

std::unique_ptr<Weight> make_weight(Device& device, std::vector<Source> sources) {
  std::vector<WeightSource> parts;
  for (Source& source : sources) {
    source.part.bytes = source.bytes;
    parts.push_back(source.part);
  }
  return std::move(device.prepare(parts, {}, kNumerics)).value();
}

void bench_linear(Device& device, double raw) {
  constexpr int64_t kColumns = 4096, kMaxRows = 512;
  auto ops = std::move(device.make_ops({kMaxRows, kColumns, 1, 64, 64}, kNumerics)).value();
  const std::vector<float> norm(kColumns, 1.0f);
  for (const DType dtype : {DType::kQ4_0, DType::kQ4_K, DType::kQ5_0, DType::kQ5_K, DType::kQ6_K,
                            DType::kQ8_0, DType::kBF16, DType::kF32}) {
    const bool wide = !dtype_info(dtype).is_quantized();
    // Bigger than the last-level cache for the bandwidth, small enough to be quick for many rows.
    const int64_t outputs = wide ? 8192 : 40960;
    const auto weight = make_weight(device, {make_source(dtype, outputs, kColumns)});
    const auto small = make_weight(device, {make_source(dtype, 2048, kColumns)});
    for (const int64_t rows : {1, 2, 4, 8, 32, 128, 512}) {
      const Weight& w = rows <= 4 ? *weight : *small;
      std::vector<float> x(static_cast<size_t>(rows * kColumns), 0.5f);
      for (size_t i = 0; i < x.size(); ++i) x[i] += 0.01f * static_cast<float>(i % 97);
      std::vector<float> y(static_cast<size_t>(rows * w.rows()));
      const double seconds = seconds_of([&] {
        ops->norm_linear({x.data(), rows, kColumns}, {norm, 1e-6f}, w, {y.data(), rows, w.rows()});
      });
      const double gb = static_cast<double>(w.bytes()) / seconds * 1e-9;
      const double gops = 2.0 * static_cast<double>(rows * w.rows() * kColumns) / seconds * 1e-9;
      fmt::print(
          "{{\"bench\":\"linear\",\"dtype\":\"{}\",\"rows\":{},\"gb_per_s\":{:.1f},"
          "\"of_raw\":{:.2f},\"gops\":{:.0f}}}\n",
          dtype_info(dtype).name, rows, gb, gb / raw, gops);
    }
  }
}

// 14 query heads on 2 KV heads of 64, as Qwen2.5-0.5B.
void bench_attention(Device& device) {
  constexpr int32_t kHeads = 14, kKvHeads = 2, kHeadDim = 64, kContext = 4096, kRows = 512;
  for (const KvFormat format : {KvFormat::kInt8, KvFormat::kF16, KvFormat::kF32}) {
    const KvLayout layout{kKvHeads, kHeadDim, 32, format};
    const uint64_t stride = device.kv_page_bytes(layout);
    const Buffer kv = std::move(device.allocate(stride * kContext / 32)).value();
    RopeSpec spec;
    spec.rotary_dim = kHeadDim;
    spec.max_positions = kContext;
    const auto rope = std::move(device.prepare_rope(spec)).value();
    auto ops =
        std::move(device.make_ops({kRows, 1024, kHeads, kHeadDim, kContext}, kNumerics)).value();
    std::vector<int32_t> pages;
    for (int32_t p = 0; p < kContext / 32; ++p) pages.push_back(p);
    constexpr int64_t kWidth = (kHeads + 2 * kKvHeads) * kHeadDim;
    for (const auto& [rows, context] :
         {std::pair{512, 0}, {512, 3584}, {1, 512}, {1, 4095}, {8, 1024}}) {
      std::vector<float> qkv(static_cast<size_t>(rows * kWidth), 0.25f);
      std::vector<float> out(static_cast<size_t>(rows * kHeads * kHeadDim));
      std::vector<Position> positions;
      for (int32_t r = 0; r < rows; ++r) positions.push_back({context + r, 0, 0});
      const SequenceRun run{0, rows, context, pages};
      AttentionArgs args;
      args.query_heads = kHeads;
      args.rope = rope.get();
      args.positions = positions;
      args.runs = {&run, 1};
      args.kv = {kv.data(), stride, layout};
      const double seconds = seconds_of([&] {
        ops->attention({qkv.data(), rows, kWidth}, args, {out.data(), rows, kHeads * kHeadDim});
      });
      const double flop = 4.0 * kHeads * kHeadDim * rows * (context + rows / 2.0);
      fmt::print(
          "{{\"bench\":\"attention\",\"kv\":{},\"rows\":{},\"context\":{},\"us\":{:.1f},"
          "\"gflops\":{:.1f}}}\n",
          static_cast<int>(format), rows, context, seconds * 1e6, flop / seconds * 1e-9);
    }
  }
}

// The layers of Qwen2.5-Coder-0.5B Q4_K_M: hidden 896, ffn 4864, 24 layers, vocabulary 151936.
constexpr int32_t kHidden = 896, kFfn = 4864, kLayers = 24, kVocab = 151936, kContext = 1024;
constexpr int32_t kHeads = 14, kKvHeads = 2, kHeadDim = 64;
constexpr int64_t kQkv = (kHeads + 2 * kKvHeads) * kHeadDim;

struct Layer {
  std::unique_ptr<Weight> qkv, out, gate_up, down;
  Buffer kv;
};

std::vector<Layer> make_layers(Device& device, uint64_t kv_bytes) {
  std::vector<Layer> layers(kLayers);
  for (size_t i = 0; i < layers.size(); ++i) {
    Layer& layer = layers[i];
    const DType v = i % 2 == 0 ? DType::kQ8_0 : DType::kQ5_0;
    const DType down = i % 2 == 0 ? DType::kQ6_K : DType::kQ4_K;
    layer.qkv = make_weight(
        device, {make_source(DType::kQ5_0, 896, kHidden), make_source(DType::kQ5_0, 128, kHidden),
                 make_source(v, 128, kHidden)});
    layer.out = make_weight(device, {make_source(DType::kQ5_0, kHidden, 896)});
    layer.gate_up = make_weight(device, {make_source(DType::kQ5_0, kFfn, kHidden),
                                         make_source(DType::kQ5_0, kFfn, kHidden)});
    layer.down = make_weight(device, {make_source(down, kHidden, kFfn)});
    layer.kv = std::move(device.allocate(kv_bytes)).value();
  }
  return layers;
}

// What steps of all sizes share.
struct StepBench {
  const KvLayout layout{kKvHeads, kHeadDim, 32, KvFormat::kF16};
  uint64_t kv_stride = 0;
  std::vector<Layer> layers;
  std::unique_ptr<Weight> head;
  uint64_t weight_bytes = 0;
  std::unique_ptr<RopeTable> rope;
  std::unique_ptr<Ops> ops;
  std::vector<float> norm = std::vector<float>(kHidden, 1.0f);
  std::vector<int32_t> pages;
};

StepBench make_step_bench(Device& device) {
  StepBench out;
  out.kv_stride = device.kv_page_bytes(out.layout);
  const double start = now();
  out.layers = make_layers(device, out.kv_stride * kContext / 32);
  for (const Layer& layer : out.layers) {
    out.weight_bytes +=
        layer.qkv->bytes() + layer.out->bytes() + layer.gate_up->bytes() + layer.down->bytes();
  }
  out.head = make_weight(device, {make_source(DType::kQ8_0, kVocab, kHidden)});
  out.weight_bytes += out.head->bytes();
  fmt::print("{{\"bench\":\"load\",\"seconds\":{:.2f},\"mb\":{:.1f}}}\n", now() - start,
             static_cast<double>(out.weight_bytes) * 1e-6);
  RopeSpec spec;
  spec.rotary_dim = kHeadDim;
  spec.max_positions = 32768;
  const double rope_start = now();
  out.rope = std::move(device.prepare_rope(spec)).value();
  fmt::print("{{\"bench\":\"rope\",\"ms\":{:.1f}}}\n", (now() - rope_start) * 1e3);
  out.ops = std::move(device.make_ops({512, kFfn, kHeads, kHeadDim, kContext}, kNumerics)).value();
  for (int32_t p = 0; p < kContext / 32; ++p) out.pages.push_back(p);
  return out;
}

void bench_rows(const StepBench& bench, int32_t rows, int32_t context, double raw) {
  const auto cells = [rows](int64_t width) {
    return std::vector<float>(static_cast<size_t>(rows * width), 0.1f);
  };
  auto x = cells(kHidden), qkv = cells(kQkv), attended = cells(kHidden), up = cells(kFfn);
  std::vector<float> logits(kVocab);
  std::vector<Position> positions;
  for (int32_t r = 0; r < rows; ++r) positions.push_back({context + r, 0, 0});
  const SequenceRun run{0, rows, context, bench.pages};
  double parts[6] = {};
  const double seconds = seconds_of([&] {
    double last = now();
    const auto lap = [&](int part) {
      const double t = now();
      parts[part] = last == 0 ? 0 : parts[part] + t - last;
      last = t;
    };
    std::fill(std::begin(parts), std::end(parts), 0.0);
    for (const Layer& layer : bench.layers) {
      const Matrix<float> hidden(x.data(), rows, kHidden);
      bench.ops->norm_linear(hidden, {bench.norm, 1e-6f}, *layer.qkv, {qkv.data(), rows, kQkv});
      lap(0);
      AttentionArgs args;
      args.query_heads = kHeads;
      args.rope = bench.rope.get();
      args.positions = positions;
      args.runs = {&run, 1};
      args.kv = {layer.kv.data(), bench.kv_stride, bench.layout};
      bench.ops->attention({qkv.data(), rows, kQkv}, args, {attended.data(), rows, kHidden});
      lap(1);
      bench.ops->linear_add(Matrix<const float>(attended.data(), rows, kHidden), *layer.out,
                            hidden);
      lap(2);
      bench.ops->norm_gated_linear(hidden, {bench.norm, 1e-6f}, *layer.gate_up,
                                   {up.data(), rows, kFfn});
      lap(3);
      bench.ops->linear_add(Matrix<const float>(up.data(), rows, kFfn), *layer.down, hidden);
      lap(4);
    }
    bench.ops->norm_linear({x.data() + (rows - 1) * kHidden, 1, kHidden}, {bench.norm, 1e-6f},
                           *bench.head, {logits.data(), 1, kVocab});
    lap(5);
    for (float& value : x) value = 0.1f;
  });
  const double gb = static_cast<double>(bench.weight_bytes) / seconds * 1e-9;
  fmt::print(
      "{{\"bench\":\"step\",\"rows\":{},\"context\":{},\"tokens_per_s\":{:.1f},"
      "\"gb_per_s\":{:.1f},\"of_raw\":{:.2f},\"ms\":{{\"qkv\":{:.2f},\"attention\":{:.2f},"
      "\"out\":{:.2f},\"gate_up\":{:.2f},\"down\":{:.2f},\"head\":{:.2f}}}}}\n",
      rows, context, rows / seconds, gb, gb / raw, parts[0] * 1e3, parts[1] * 1e3, parts[2] * 1e3,
      parts[3] * 1e3, parts[4] * 1e3, parts[5] * 1e3);
}

void bench_step(Device& device, double raw) {
  const StepBench bench = make_step_bench(device);
  for (const int32_t rows : {1, 2, 4, 8, 16, 32}) bench_rows(bench, rows, 64, raw);
  bench_rows(bench, 512, 0, raw);
}

int run(const std::string& part, int threads) {
  auto device = make_cpu_device({threads, ""});
  if (!device.is_ok()) {
    fmt::print(stderr, "{}\n", device.status().message());
    return 1;
  }
  const double raw = read_bandwidth(threads);
  fmt::print("{{\"bench\":\"machine\",\"device\":\"{}\",\"raw_gb_per_s\":{:.1f}}}\n",
             (*device)->description(), raw);
  if (part.empty() || part == "linear") bench_linear(**device, raw);
  if (part.empty() || part == "attention") bench_attention(**device);
  if (part.empty() || part == "step") bench_step(**device, raw);
  return 0;
}

}  // namespace
}  // namespace yunqi

int main(int argc, char** argv) {
  return yunqi::run(argc > 1 ? argv[1] : "", argc > 2 ? std::atoi(argv[2]) : 0);
}
