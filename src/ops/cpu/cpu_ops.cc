// See cpu_ops.h. A linear op has two steps: rows are normed and, for integer weights, quantised;
// then workers claim chunks of output columns and compute them for all rows.
#include "ops/cpu/cpu_ops.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/check.h"
#include "ops/cpu/attention.h"
#include "ops/cpu/kv_page.h"
#include "ops/cpu/memory.h"
#include "ops/cpu/packing.h"

namespace yunqi {
namespace {

// Output columns that a worker claims at a time. Few rows wait for memory: their chunks are long
// runs of weights, as long as every thread gets some. Many rows are bound by arithmetic.
constexpr int64_t kFewRows = 4;
constexpr int64_t kFewRowsColumns = 64;
constexpr int64_t kSomeRows = 64;
constexpr int64_t kSomeRowsColumns = 128;
constexpr int64_t kChunksPerThread = 4;
constexpr int64_t kEmbedRowsPerChunk = 8;
constexpr int64_t kMaxRows = int64_t{1} << 20;
constexpr int64_t kMaxColumns = int64_t{1} << 24;
// Rows that share a pass over the weights have at most this many elements, so that their codes
// stay in the second-level cache; but never fewer than the minimum, or unpacking would dominate.
constexpr int64_t kRowBlockElements = 256 * 1024;
constexpr int64_t kMinRowBlock = 48;
// Below this many elements a region costs more than it saves.
constexpr int64_t kSerialElements = 16384;

// A place for `count` Ts in a buffer that grows in 64-byte steps.
template <typename T>
T* carve(std::byte*& next, int64_t count) {
  T* place = reinterpret_cast<T*>(next);
  next += (static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64;
  return place;
}

class CpuOps final : public Ops {
 public:
  CpuOps(std::shared_ptr<CpuState> state, const OpsLimits& limits)
      : state_(std::move(state)), limits_(limits), attention_(*state_, limits) {}

  Status init();

  void embed(const Weight& table, std::span<const int32_t> tokens, Matrix<float> x) override;
  void norm_linear(Matrix<const float> x, const Norm& norm, const Weight& w,
                   Matrix<float> y) override;
  void norm_gated_linear(Matrix<const float> x, const Norm& norm, const Weight& gate_up,
                         Matrix<float> y) override;
  void linear_add(Matrix<const float> x, const Weight& w, Matrix<float> y) override;
  void attention(Matrix<float> qkv, const AttentionArgs& args, Matrix<float> out) override {
    attention_.run(qkv, args, out);
  }
  void gather_rows(Matrix<const float> from, std::span<const int32_t> rows,
                   Matrix<float> to) override;
  void copy_page(const KvLayer& kv, int32_t from_page, int32_t to_page) override;
  void all_reduce(Matrix<float>) override {}
  Status sync() override { return Status::ok(); }

 private:
  // Activations of one linear op, ready for the kernels.
  struct Input {
    Matrix<const float> floats;
    QuantizedRows quantized;

    // Rows [begin, begin + count).
    Input slice(int64_t begin, int64_t count) const {
      const int64_t columns = floats.columns;
      return {floats.slice_rows(begin, count),
              {quantized.codes + begin * columns, quantized.blocks + begin * (columns / kBlock)}};
    }
  };
  struct Chunk {
    int64_t row, rows, column, columns;
  };
  struct Worker {
    float* tile;     // outputs of a chunk
    float* up_tile;  // those of the second matrix of a gated op
    float* spare;    // whole groups, where a chunk begins inside one
    uint8_t* scratch;
  };

  Input prepare_input(Matrix<const float> x, const Norm* norm, const PackedWeight& w);
  // tile[r][i] = x[r] . row (begin + i) of w + bias, i < count.
  void compute(const PackedWeight& w, const Input& input, int64_t begin, int64_t count, float* tile,
               const Worker& worker);
  void compute_groups(const WeightSegment& segment, const Input& input, int64_t group,
                      int64_t groups, float* tile, const Worker& worker);
  int64_t chunk_columns(int64_t rows, int64_t outputs) const;
  // Calls task(chunk, input rows, worker) for all chunks of `outputs` columns, in parallel.
  template <typename Task>
  void for_chunks(const Input& input, int64_t outputs, Task&& task);

  std::shared_ptr<CpuState> state_;
  OpsLimits limits_;
  CpuAttention attention_;
  Buffer scratch_;
  float* normed_ = nullptr;
  QuantizedRows quantized_{};
  int64_t tile_stride_ = 0;  // of the tiles in use, set per op
  std::vector<Worker> workers_;
};

Status CpuOps::init() {
  YQ_RETURN_IF_ERROR(attention_.init());
  const int64_t rows = limits_.max_rows, columns = limits_.max_columns;
  const int64_t cells = rows * columns, blocks = rows * (columns / kBlock + 1);
  const int64_t many_columns = state_->kernels.tile_groups * kLanes;
  const int64_t tile_cells = std::max(std::min(rows, kSomeRows) * (kSomeRowsColumns + 2 * kLanes),
                                      rows * (many_columns + 2 * kLanes));
  const auto threads = static_cast<size_t>(state_->threads());
  workers_.resize(threads);
  // Twice: first to count the bytes, then to place things.
  for (int pass = 0; pass < 2; ++pass) {
    std::byte* const start = scratch_.data();
    std::byte* next = start;
    normed_ = carve<float>(next, cells);
    quantized_.codes = carve<int8_t>(next, cells);
    quantized_.blocks = carve<BlockScale>(next, blocks);
    for (Worker& worker : workers_) {
      worker.tile = carve<float>(next, tile_cells);
      worker.up_tile = carve<float>(next, tile_cells);
      worker.spare = carve<float>(next, tile_cells);
      worker.scratch = carve<uint8_t>(next, static_cast<int64_t>(kMatmulScratch));
    }
    if (pass == 0) {
      YQ_TRY(scratch_, allocate_host(static_cast<size_t>(next - start)));
    }
  }
  return Status::ok();
}

CpuOps::Input CpuOps::prepare_input(Matrix<const float> x, const Norm* norm,
                                    const PackedWeight& w) {
  const int64_t columns = x.columns, blocks = columns / kBlock;
  YQ_CHECK(columns == w.columns() && x.rows <= limits_.max_rows && columns <= limits_.max_columns,
           "{} rows of {}, weight has {} columns", x.rows, columns, w.columns());
  Input input{x, quantized_};
  const bool quantize = w.has_integer_segments();
  if (norm == nullptr && !quantize) return input;
  if (norm != nullptr) input.floats = Matrix<const float>(normed_, x.rows, columns);
  auto do_rows = [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      const float* row = x.row(r);
      if (norm != nullptr) {
        state_->kernels.rms_norm(row, norm->weight.data(), norm->epsilon, columns,
                                 normed_ + r * columns);
        row = normed_ + r * columns;
      }
      if (!quantize) continue;
      const QuantizedRows& q = quantized_;
      state_->kernels.quantize_row(row, columns,
                                   QuantizedRows{q.codes + r * columns, q.blocks + r * blocks});
    }
  };
  if (x.rows * columns <= kSerialElements) {
    do_rows(0, x.rows, 0);
  } else {
    state_->parallel_for(x.rows, std::max<int64_t>(1, kSerialElements / 2 / columns), do_rows);
  }
  return input;
}

void CpuOps::compute_groups(const WeightSegment& segment, const Input& input, int64_t group,
                            int64_t groups, float* tile, const Worker& worker) {
  MatmulArgs args{};
  args.format = segment.format;
  args.groups = segment.group(group);
  args.group_bytes = segment.group_bytes;
  args.group_count = groups;
  args.columns = input.floats.columns;
  args.rows = input.floats.rows;
  args.x = input.floats.data;
  args.x_stride = input.floats.stride;
  args.q = input.quantized;
  args.tile = tile;
  args.tile_stride = tile_stride_;
  args.scratch = worker.scratch;
  state_->kernels.matmul(args);
}

void CpuOps::compute(const PackedWeight& w, const Input& input, int64_t begin, int64_t count,
                     float* tile, const Worker& worker) {
  for (const WeightSegment& segment : w.segments()) {
    const int64_t low = std::max(begin - segment.row_begin, int64_t{0});
    const int64_t high = std::min(begin + count - segment.row_begin, segment.rows);
    if (low >= high) continue;
    const int64_t group = low / kLanes, groups = (high + kLanes - 1) / kLanes - group;
    float* target = tile + (segment.row_begin + low - begin);
    if (low % kLanes == 0) {
      // Lanes past `high` spill into the slack of the tile, or are overwritten by the next part.
      compute_groups(segment, input, group, groups, target, worker);
      continue;
    }
    compute_groups(segment, input, group, groups, worker.spare, worker);
    for (int64_t r = 0; r < input.floats.rows; ++r) {
      std::memcpy(target + r * tile_stride_, worker.spare + r * tile_stride_ + low % kLanes,
                  static_cast<size_t>(high - low) * sizeof(float));
    }
  }
  if (w.bias().empty()) return;
  for (int64_t r = 0; r < input.floats.rows; ++r) {
    for (int64_t i = 0; i < count; ++i) {
      tile[r * tile_stride_ + i] += w.bias()[static_cast<size_t>(begin + i)];
    }
  }
}

int64_t CpuOps::chunk_columns(int64_t rows, int64_t outputs) const {
  if (rows <= kFewRows) return kFewRowsColumns;
  const int64_t least = int64_t{state_->kernels.tile_groups} * kLanes;
  if (rows > kSomeRows) return least;
  int64_t width = kSomeRowsColumns;
  while (width > least && width * kChunksPerThread * state_->threads() > outputs) width /= 2;
  return width;
}

template <typename Task>
void CpuOps::for_chunks(const Input& input, int64_t outputs, Task&& task) {
  const int64_t rows = input.floats.rows;
  const int64_t width = chunk_columns(rows, outputs);
  const int64_t row_block =
      std::max(kMinRowBlock, kRowBlockElements / input.floats.columns / 4 * 4);
  tile_stride_ = width + 2 * kLanes;
  const int64_t columns = (outputs + width - 1) / width;
  const int64_t row_blocks = (rows + row_block - 1) / row_block;
  state_->parallel_for(columns * row_blocks, 1, [&](int64_t begin, int64_t end, int index) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t row = item / columns * row_block, column = item % columns * width;
      const Chunk chunk{row, std::min(row_block, rows - row), column,
                        std::min(width, outputs - column)};
      task(chunk, input.slice(row, chunk.rows), workers_[static_cast<size_t>(index)]);
    }
  });
}

void CpuOps::embed(const Weight& table, std::span<const int32_t> tokens, Matrix<float> x) {
  const auto& w = static_cast<const PackedWeight&>(table);
  state_->parallel_for(static_cast<int64_t>(tokens.size()), kEmbedRowsPerChunk,
                       [&](int64_t begin, int64_t end, int) {
                         for (int64_t i = begin; i < end; ++i) {
                           w.unpack_row(tokens[static_cast<size_t>(i)], x.row_span(i));
                         }
                       });
}

void CpuOps::norm_linear(Matrix<const float> x, const Norm& norm, const Weight& weight,
                         Matrix<float> y) {
  const auto& w = static_cast<const PackedWeight&>(weight);
  YQ_CHECK(y.rows == x.rows && y.columns == w.rows());
  const Input input = prepare_input(x, &norm, w);
  for_chunks(input, w.rows(), [&](const Chunk& chunk, const Input& rows, const Worker& worker) {
    compute(w, rows, chunk.column, chunk.columns, worker.tile, worker);
    for (int64_t r = 0; r < chunk.rows; ++r) {
      std::memcpy(y.row(chunk.row + r) + chunk.column, worker.tile + r * tile_stride_,
                  static_cast<size_t>(chunk.columns) * sizeof(float));
    }
  });
}

void CpuOps::norm_gated_linear(Matrix<const float> x, const Norm& norm, const Weight& gate_up,
                               Matrix<float> y) {
  const auto& w = static_cast<const PackedWeight&>(gate_up);
  YQ_CHECK(y.rows == x.rows && 2 * y.columns == w.rows());
  const Input input = prepare_input(x, &norm, w);
  for_chunks(input, y.columns, [&](const Chunk& chunk, const Input& rows, const Worker& worker) {
    compute(w, rows, chunk.column, chunk.columns, worker.tile, worker);
    compute(w, rows, y.columns + chunk.column, chunk.columns, worker.up_tile, worker);
    for (int64_t r = 0; r < chunk.rows; ++r) {
      state_->kernels.silu_mul(worker.tile + r * tile_stride_, worker.up_tile + r * tile_stride_,
                               chunk.columns, y.row(chunk.row + r) + chunk.column);
    }
  });
}

void CpuOps::linear_add(Matrix<const float> x, const Weight& weight, Matrix<float> y) {
  const auto& w = static_cast<const PackedWeight&>(weight);
  YQ_CHECK(y.rows == x.rows && y.columns == w.rows());
  const Input input = prepare_input(x, nullptr, w);
  for_chunks(input, w.rows(), [&](const Chunk& chunk, const Input& rows, const Worker& worker) {
    compute(w, rows, chunk.column, chunk.columns, worker.tile, worker);
    for (int64_t r = 0; r < chunk.rows; ++r) {
      const float* tile = worker.tile + r * tile_stride_;
      float* row = y.row(chunk.row + r) + chunk.column;
      for (int64_t i = 0; i < chunk.columns; ++i) row[i] += tile[i];
    }
  });
}

void CpuOps::gather_rows(Matrix<const float> from, std::span<const int32_t> rows,
                         Matrix<float> to) {
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(to.row(static_cast<int64_t>(i)), from.row(rows[i]),
                static_cast<size_t>(from.columns) * sizeof(float));
  }
}

void CpuOps::copy_page(const KvLayer& kv, int32_t from_page, int32_t to_page) {
  std::memcpy(kv.data + static_cast<uint64_t>(to_page) * kv.page_stride,
              kv.data + static_cast<uint64_t>(from_page) * kv.page_stride,
              KvPage(kv.layout).page_bytes());
}

}  // namespace

Result<std::unique_ptr<Ops>> make_cpu_ops(std::shared_ptr<CpuState> state,
                                          const OpsLimits& limits) {
  if (limits.max_rows < 1 || limits.max_rows > kMaxRows || limits.max_columns < 1 ||
      limits.max_columns > kMaxColumns || limits.max_head_dim < 0 ||
      limits.max_head_dim > kMaxColumns) {
    return error(Code::kInvalidArgument,
                 "steps of {} rows and {} columns: want 1..{} rows and 1..{} columns",
                 limits.max_rows, limits.max_columns, kMaxRows, kMaxColumns);
  }
  auto ops = std::make_unique<CpuOps>(std::move(state), limits);
  YQ_RETURN_IF_ERROR(ops->init());
  return std::unique_ptr<Ops>(std::move(ops));
}

}  // namespace yunqi
