// The operations a Qwen model needs: coarse, fused, stream-ordered; they allocate nothing and never
// fail (a broken device is reported by sync). Each has one numeric definition per device: a row's
// result never depends on the other rows, their number, or the thread count.
// Matrices are float32 in device memory. One user thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/status.h"
#include "ops/device.h"
#include "tensor/view.h"

namespace yunqi {

// RMSNorm: x * rsqrt(mean(x^2) + eps) * weight (Zhang & Sennrich 2019), in float32.
struct Norm {
  std::span<const float> weight;  // [columns], device memory
  float epsilon = 1e-6f;
};

// Rotary position of one row: temporal, height, width; equal for text.
using Position = std::array<int32_t, 3>;

// Consecutive rows of a step that belong to one sequence. Row first_row + i is the token at index
// context + i of the sequence; `pages` maps token index / page_tokens to a page and covers
// context + rows tokens.
struct SequenceRun {
  int32_t first_row = 0;
  int32_t rows = 0;
  int32_t context = 0;
  std::span<const int32_t> pages;
};

// One layer's share of a paged KV buffer: page p starts at data + p * page_stride.
struct KvLayer {
  std::byte* data = nullptr;
  uint64_t page_stride = 0;
  KvLayout layout;
};

// What attention needs beside q, k and v. All spans are borrowed for the call.
struct AttentionArgs {
  int32_t query_heads = 0;
  const RopeTable* rope = nullptr;
  std::span<const float> q_norm, k_norm;  // [head_dim] each, or empty: RMSNorm per head before RoPE
  float norm_epsilon = 1e-6f;
  std::span<const Position> positions;    // [rows]
  std::span<const SequenceRun> runs;
  KvLayer kv;
};

class Ops {
 public:
  virtual ~Ops() = default;

  // x[i] = row tokens[i] of the table. x: [tokens, columns]; ids must be < rows().
  virtual void embed(const Weight& table, std::span<const int32_t> tokens, Matrix<float> x) = 0;

  // y = norm(x) W^T + bias. x: [rows, K], y: [rows, N].
  virtual void norm_linear(Matrix<const float> x, const Norm& norm, const Weight& w,
                           Matrix<float> y) = 0;

  // y = silu(norm(x) Wg^T) * (norm(x) Wu^T). `gate_up` stacks the N rows of gate over those of up.
  // x: [rows, K], y: [rows, N].
  virtual void norm_gated_linear(Matrix<const float> x, const Norm& norm, const Weight& gate_up,
                                 Matrix<float> y) = 0;

  // y += x W^T + bias: the residual's epilogue. x: [rows, K], y: [rows, N].
  virtual void linear_add(Matrix<const float> x, const Weight& w, Matrix<float> y) = 0;

  // Head norms, RoPE, then the rows' keys and values into their pages, then causal attention of
  // each row over tokens [0, its index] of its sequence, read as stored (also the current chunk).
  // qkv: [rows, (query_heads + 2 kv_heads) * head_dim], laid out q | k | v (q and k are
  // overwritten); out: [rows, query_heads * head_dim]. Query head h reads KV head
  // h / (query_heads / kv_heads); scale 1 / sqrt(head_dim).
  virtual void attention(Matrix<float> qkv, const AttentionArgs& args, Matrix<float> out) = 0;

  // to[i] = from[rows[i]], to pick the rows whose logits are wanted.
  virtual void gather_rows(Matrix<const float> from, std::span<const int32_t> rows,
                           Matrix<float> to) = 0;

  // Copies `pages` pages of every byte from one place of a KV layer to another (copy on write).
  virtual void copy_page(const KvLayer& kv, int32_t from_page, int32_t to_page) = 0;

  // Sums x over the devices of a tensor-parallel group; the identity for one device.
  virtual void all_reduce(Matrix<float> x) = 0;

  // Waits for everything issued and reports a broken device.
  virtual Status sync() = 0;
};

}  // namespace yunqi
