// See attention.h. The numeric definition: blocks of 32 tokens anchored at token 0, keys and
// values read as stored, one online softmax step per block; so neither the chunking of a prompt
// nor its page numbers can change a bit.
#include "ops/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include "base/check.h"
#include "ops/cpu/kv_page.h"
#include "ops/cpu/memory.h"
#include "ops/cpu/rope_table.h"
#include "tensor/dtype.h"

namespace yunqi {
namespace {

// Queries that share one pass over the blocks: all heads of a KV head, and neighbouring rows.
constexpr int64_t kQueriesPerChunk = 64;
constexpr int64_t kRowsPerStoreChunk = 8;

int format_index(KvFormat format) { return static_cast<int>(format); }
static_assert(static_cast<int>(KvFormat::kInt8) == 0 && static_cast<int>(KvFormat::kF16) == 1 &&
              static_cast<int>(KvFormat::kF32) == 2);

// Codes of one head's vector and their scale; NaN gives 0.
float quantize_vector(std::span<const float> x, int8_t* codes) {
  float largest = 0.0f;
  for (const float value : x) largest = std::max(largest, std::fabs(value));
  const float inverse = largest > 0.0f ? 127.0f / largest : 0.0f;
  for (size_t i = 0; i < x.size(); ++i) {
    const float scaled = std::nearbyint(x[i] * inverse);
    codes[i] = static_cast<int8_t>(scaled >= -127.0f && scaled <= 127.0f ? scaled : 0.0f);
  }
  return largest / 127.0f;
}

// Pages lie anywhere: the hardware would see each one's streams anew.
void prefetch(const KvBlock& block, size_t group_bytes) {
  for (int g = 0; g * kKvGroup < block.tokens; ++g) {
    for (size_t line = 0; line < group_bytes; line += 64) {
      __builtin_prefetch(block.keys[g] + line);
      __builtin_prefetch(block.values[g] + line);
    }
  }
}

}  // namespace

struct CpuAttention::Worker {
  AttentionQuery queries[kQueriesPerChunk];
  int64_t lengths[kQueriesPerChunk];  // tokens each query sees
  float state[kQueriesPerChunk][2];
  alignas(64) float block[1];  // keys [head_dim][32], values [32][head_dim], 2 vectors
};

CpuAttention::CpuAttention(CpuState& state, const OpsLimits& limits)
    : state_(state), limits_(limits) {}

Status CpuAttention::init() {
  run_of_row_.resize(static_cast<size_t>(limits_.max_rows));
  first_item_.resize(static_cast<size_t>(limits_.max_rows) + 1);
  const size_t floats = static_cast<size_t>(limits_.max_head_dim) * (2 * kKvBlock + 2);
  worker_bytes_ = (sizeof(Worker) + floats * sizeof(float) + 127) / 64 * 64;
  YQ_TRY(scratch_, allocate_host(worker_bytes_ * static_cast<size_t>(state_.threads())));
  return Status::ok();
}

CpuAttention::Worker& CpuAttention::worker(int index) {
  return *reinterpret_cast<Worker*>(scratch_.data() + worker_bytes_ * static_cast<size_t>(index));
}

void CpuAttention::run(Matrix<float> qkv, const AttentionArgs& args, Matrix<float> out) {
  const KvLayout& layout = args.kv.layout;
  const int64_t heads_per_kv = args.query_heads / layout.kv_heads;
  YQ_CHECK(args.query_heads == heads_per_kv * layout.kv_heads && layout.head_dim % 8 == 0 &&
               layout.head_dim <= limits_.max_head_dim && layout.page_tokens % kKvGroup == 0,
           "{} query heads, {} KV heads of {}", args.query_heads, layout.kv_heads, layout.head_dim);
  YQ_CHECK(qkv.rows <= limits_.max_rows && args.runs.size() <= static_cast<size_t>(qkv.rows));

  first_item_[0] = 0;
  for (size_t r = 0; r < args.runs.size(); ++r) {
    const SequenceRun& sequence = args.runs[r];
    for (int32_t i = 0; i < sequence.rows; ++i) {
      run_of_row_[static_cast<size_t>(sequence.first_row + i)] = static_cast<int64_t>(r);
    }
    const int64_t queries = sequence.rows * heads_per_kv;
    const int64_t chunks = (queries + kQueriesPerChunk - 1) / kQueriesPerChunk;
    first_item_[r + 1] = first_item_[r] + chunks * layout.kv_heads;
  }
  const auto for_rows = [&](auto&& each) {
    state_.parallel_for(qkv.rows, kRowsPerStoreChunk, [&](int64_t begin, int64_t end, int index) {
      for (int64_t row = begin; row < end; ++row) {
        each(run_of_row_[static_cast<size_t>(row)], row, worker(index));
      }
    });
  };
  // Keys that are kept relative to another row's wait for that one.
  const bool relative = layout.format == KvFormat::kInt8;
  for_rows([&](int64_t of_run, int64_t row, Worker& scratch) {
    prepare_row(qkv, args, of_run, row, scratch);
    if (!relative) store_row(qkv, args, of_run, row, scratch);
  });
  if (relative) {
    for_rows([&](int64_t of_run, int64_t row, Worker& scratch) {
      store_row(qkv, args, of_run, row, scratch);
    });
  }
  const auto items_end = first_item_.begin() + static_cast<int64_t>(args.runs.size()) + 1;
  state_.parallel_for(first_item_[args.runs.size()], 1, [&](int64_t begin, int64_t end, int index) {
    for (int64_t item = begin; item < end; ++item) {
      const auto next = std::upper_bound(first_item_.begin(), items_end, item);
      const int64_t run = next - first_item_.begin() - 1;
      attend_chunk(qkv, args, run, item - first_item_[static_cast<size_t>(run)], out,
                   worker(index));
    }
  });
}

// Brings the channels that turn fast with the position to the front, those that turn slowly behind
// them, and spreads large channels over each half. Queries and keys alike, so products stay.
void CpuAttention::rotate_halves(float* x, int64_t head_dim, Worker& worker) const {
  const int64_t quarter = head_dim / 4;
  const int64_t unit = 2 * quarter & -(2 * quarter);  // whole powers of two are rotated
  if (head_dim % 16 != 0) return;
  float* y = worker.block;
  std::memcpy(y, x, static_cast<size_t>(head_dim) * sizeof(float));
  for (int64_t part = 0; part < 4; ++part) {
    const int64_t from = part % 2 * 2 + part / 2;  // 0, 2, 1, 3
    std::memcpy(x + part * quarter, y + from * quarter,
                static_cast<size_t>(quarter) * sizeof(float));
  }
  for (int64_t i = 0; i < head_dim; i += unit) state_.kernels.rotate(x + i, unit);
}

// Norms, rotates and scales the row's queries and keys in place; in int8, leaves the base of a
// block that begins with this row.
void CpuAttention::prepare_row(Matrix<float> qkv, const AttentionArgs& args, int64_t run,
                               int64_t row, Worker& worker) {
  const KvLayout& layout = args.kv.layout;
  const int64_t head_dim = layout.head_dim;
  const auto& rope = static_cast<const CpuRopeTable&>(*args.rope);
  const int64_t position = args.positions[static_cast<size_t>(row)][0];
  YQ_CHECK(position >= 0 && position < rope.spec().max_positions, "position {} of {}", position,
           rope.spec().max_positions);
  const float* cosines = rope.cosines(position);
  const float* sines = rope.sines(position);
  const bool is_int8 = layout.format == KvFormat::kInt8;

  const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  float* x = qkv.row(row);
  for (int64_t h = 0; h < args.query_heads + layout.kv_heads; ++h, x += head_dim) {
    const bool is_query = h < args.query_heads;
    const std::span<const float> norm = is_query ? args.q_norm : args.k_norm;
    if (!norm.empty()) {
      state_.kernels.rms_norm(x, norm.data(), args.norm_epsilon, head_dim, x);
    }
    state_.kernels.rope(x, cosines, sines, rope.half());
    for (int64_t i = 0; is_query && i < head_dim; ++i) x[i] *= scale;
    if (is_int8) rotate_halves(x, head_dim, worker);
  }
  const SequenceRun& sequence = args.runs[static_cast<size_t>(run)];
  const int64_t token = sequence.context + row - sequence.first_row;
  if (!is_int8 || token % kKvBlock != 0) return;
  const float* keys = qkv.row(row) + args.query_heads * head_dim;
  for (int32_t h = 0; h < layout.kv_heads; ++h) {
    state_.kernels.to_f16(keys + h * head_dim, head_dim, base_of(args.kv, sequence, token, h));
  }
}

uint16_t* CpuAttention::base_of(const KvLayer& kv, const SequenceRun& sequence, int64_t token,
                                int64_t head) const {
  const KvPage page(kv.layout);
  const int64_t first = token / kKvBlock * kKvBlock;
  const int32_t index = sequence.pages[static_cast<size_t>(first / kv.layout.page_tokens)];
  std::byte* at = kv.data + static_cast<uint64_t>(index) * kv.page_stride +
                  static_cast<size_t>(head) * page.head_bytes() +
                  page.base_at(static_cast<size_t>(first % kv.layout.page_tokens));
  return reinterpret_cast<uint16_t*>(at);
}

// Stores the row's keys and values.
void CpuAttention::store_row(Matrix<float> qkv, const AttentionArgs& args, int64_t run, int64_t row,
                             Worker& worker) {
  const KvLayout& layout = args.kv.layout;
  const KvPage page(layout);
  const int64_t head_dim = layout.head_dim;
  const auto width = static_cast<size_t>(head_dim);
  const SequenceRun& sequence = args.runs[static_cast<size_t>(run)];
  const int64_t token = sequence.context + row - sequence.first_row;
  const auto slot = static_cast<size_t>(token % layout.page_tokens);
  const int32_t page_index = sequence.pages[static_cast<size_t>(token / layout.page_tokens)];
  std::byte* head = args.kv.data + static_cast<uint64_t>(page_index) * args.kv.page_stride;
  const float* keys = qkv.row(row) + args.query_heads * head_dim;
  const float* values = keys + layout.kv_heads * head_dim;
  const size_t element = page.element_bytes();
  float* relative = worker.block + 2 * kKvBlock * head_dim;
  // The vector as stored, before its scattering.
  auto* stored = reinterpret_cast<std::byte*>(relative + head_dim);
  for (int32_t h = 0; h < layout.kv_heads; ++h, head += page.head_bytes()) {
    for (int part = 0; part < 2; ++part) {
      const float* source = (part == 0 ? keys : values) + h * head_dim;
      if (layout.format == KvFormat::kInt8) {
        auto* codes = reinterpret_cast<int8_t*>(stored);
        const auto store_scale = [&](size_t offset, float scale) {
          std::memcpy(head + offset + slot * sizeof(float), &scale, sizeof(float));
        };
        if (part == 0) {
          const uint16_t* base = base_of(args.kv, sequence, token, h);
          for (size_t i = 0; i < width; ++i) relative[i] = source[i] - to_float(f16{base[i]});
          for (size_t half = 0; half < 2; ++half) {
            const size_t at = half * width / 2;
            store_scale(page.key_scales_offset() + half * page.scale_bytes(),
                        quantize_vector({relative + at, width / 2}, codes + at));
          }
        } else {
          store_scale(page.value_scales_offset(), quantize_vector({source, width}, codes));
        }
      } else if (layout.format == KvFormat::kF16) {
        state_.kernels.to_f16(source, head_dim, reinterpret_cast<uint16_t*>(stored));
      } else {
        std::memcpy(stored, source, page.vector_bytes());
      }
      if (part == 1) {
        std::memcpy(head + page.values_at(slot), stored, page.vector_bytes());
        continue;
      }
      std::byte* group = head + page.keys_at(slot / kKvGroup * kKvGroup);
      for (size_t i = 0; i < width; ++i) {
        std::memcpy(group + (i * kKvGroup + slot % kKvGroup) * element, stored + i * element,
                    element);
      }
    }
  }
}

// Item = (KV head, chunk of queries); query n is head n % heads_per_kv of row n / heads_per_kv.
void CpuAttention::attend_chunk(Matrix<float> qkv, const AttentionArgs& args, int64_t run,
                                int64_t item, Matrix<float> out, Worker& worker) {
  const KvLayout& layout = args.kv.layout;
  const KvPage page(layout);
  const int64_t head_dim = layout.head_dim;
  const SequenceRun& sequence = args.runs[static_cast<size_t>(run)];
  const int64_t heads_per_kv = args.query_heads / layout.kv_heads;
  const int64_t kv_head = item % layout.kv_heads;
  const int64_t first = item / layout.kv_heads * kQueriesPerChunk;
  const int64_t count = std::min(kQueriesPerChunk, sequence.rows * heads_per_kv - first);

  int64_t longest = 0;
  for (int64_t n = 0; n < count; ++n) {
    const int64_t row = (first + n) / heads_per_kv;
    const int64_t head = kv_head * heads_per_kv + (first + n) % heads_per_kv;
    AttentionQuery& query = worker.queries[n];
    query.q = qkv.row(sequence.first_row + row) + head * head_dim;
    query.out = out.row(sequence.first_row + row) + head * head_dim;
    query.state = worker.state[n];
    worker.state[n][0] = -std::numeric_limits<float>::infinity();
    worker.state[n][1] = 0.0f;
    worker.lengths[n] = sequence.context + row + 1;
    longest = std::max(longest, worker.lengths[n]);
    std::fill_n(query.out, head_dim, 0.0f);
  }

  const AttentionShape shape{head_dim, format_index(layout.format)};
  const std::byte* data = args.kv.data + static_cast<size_t>(kv_head) * page.head_bytes();
  const auto block_at = [&](int64_t token) {
    KvBlock block{};
    block.tokens = static_cast<int>(std::min<int64_t>(kKvBlock, longest - token));
    block.base = base_of(args.kv, sequence, token, kv_head);
    for (int g = 0; g * kKvGroup < block.tokens; ++g) {
      const int64_t at = token + g * kKvGroup;
      const auto slot = static_cast<size_t>(at % layout.page_tokens);
      const int32_t index = sequence.pages[static_cast<size_t>(at / layout.page_tokens)];
      const std::byte* head = data + static_cast<uint64_t>(index) * args.kv.page_stride;
      block.keys[g] = reinterpret_cast<const uint8_t*>(head + page.keys_at(slot));
      block.values[g] = reinterpret_cast<const uint8_t*>(head + page.values_at(slot));
      const std::byte* scales = head + page.key_scales_offset() + slot * sizeof(float);
      block.key_scales[0][g] = reinterpret_cast<const float*>(scales);
      block.key_scales[1][g] = reinterpret_cast<const float*>(scales + page.scale_bytes());
      block.value_scales[g] =
          reinterpret_cast<const float*>(head + page.value_scales_offset()) + slot;
    }
    return block;
  };
  int64_t active = 0;  // queries before this one have seen all their tokens
  KvBlock block = block_at(0);
  for (int64_t token = 0; token < longest; token += kKvBlock) {
    KvBlock next{};
    if (token + kKvBlock < longest) {
      next = block_at(token + kKvBlock);
      prefetch(next, page.vector_bytes() * kKvGroup);
    }
    while (worker.lengths[active] <= token) ++active;
    for (int64_t n = active; n < count; ++n) {
      worker.queries[n].tokens =
          static_cast<int>(std::min<int64_t>(kKvBlock, worker.lengths[n] - token));
    }
    state_.kernels.attend(block, shape, worker.block, worker.queries + active, count - active);
    block = next;
  }
  for (int64_t n = 0; n < count; ++n) {
    const float inverse = 1.0f / worker.state[n][1];
    for (int64_t i = 0; i < head_dim; ++i) worker.queries[n].out[i] *= inverse;
  }
}

}  // namespace yunqi
