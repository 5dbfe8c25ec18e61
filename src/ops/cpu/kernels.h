// The table of CPU kernels, one per ISA level, and the memory layouts they agree on. Included by
// files compiled for different ISAs, so it holds plain declarations only: no inline functions.
//
// Weights are packed in groups of 8 output rows ("lanes"); K runs in blocks of 32. In a block, the
// code of (row r, element k) sits at byte lane 4 * r + k % 4 of step k / 4 (0..7):
//   int8 codes   8 steps of 32 bytes
//   4-bit codes  4 vectors of 32 bytes: step v in the low nibbles of vector v, step v + 4 in the
//   high 5-bit        4-bit codes, then 32 bytes whose bit s is the fifth bit of step s 6-bit 4-bit
//   codes, then 2 x 32 bytes: bits 2 (s % 4) of vector s / 4 are bits 4-5 of step s
// A unit is one block, or eight for formats with 256-element super-blocks: the lanes' 16-bit float
// scales d[8], then minimum scales m[8] where there are any, then the blocks, each preceded by its
// lanes' integer sub-scales (8, or 8 + 8 for the two halves) and sub-minimums of the same count.
// Float formats are k-major: element k of the 8 lanes, then k + 1.
#pragma once

#include <cstddef>
#include <cstdint>

namespace yunqi {

inline constexpr int kLanes = 8;
inline constexpr int kBlock = 32;
// Attention walks the stored tokens in blocks of this many, anchored at token 0 of the sequence.
inline constexpr int kKvBlock = 32;
// Keys are stored element-major for this many tokens at a time.
inline constexpr int kKvGroup = 8;

enum class KernelFormat : uint8_t {
  kF32,
  kF16,
  kBF16,
  kInt8,       // value = d code                          Q8_0, IQ4_NL
  kInt8Sub,    // value = d sub code, units of 256        IQ4_XS
  kU4,         // value = d (code - 8)                    Q4_0
  kU4Min,      // value = d code - m                      Q4_1
  kU5,         // value = d (code - 16)                   Q5_0
  kU5Min,      // value = d code - m                      Q5_1
  kU4K,        // value = d sub code - m submin           Q4_K
  kU5K,        // value = d sub code - m submin           Q5_K
  kU4Half,     // value = d sub (code - 4), 16 per sub    Q3_K
  kU4HalfMin,  // value = d sub code - m submin, 16 per sub  Q2_K
  kU6Half,     // value = d sub (code - 32), 16 per sub   Q6_K
};
inline constexpr int kKernelFormats = 14;

// What a block of 32 activation codes is worth: x = scale * code.
struct BlockScale {
  float scale;
  float scaled_sum;      // scale * sum, rounded once
  int32_t sum;           // of the block's codes
  int16_t half_sums[2];  // of each 16 codes
};

// Rows of activations as the integer kernels read them: row r starts at codes + r * columns and
// blocks + r * columns / 32.
struct QuantizedRows {
  int8_t* codes;  // in [-127, 127]
  BlockScale* blocks;
};

// tile[r][8 g + lane] = sum over K of x[r] . weight row (8 g + lane), for groups and rows given.
struct MatmulArgs {
  KernelFormat format;
  const uint8_t* groups;  // first group
  size_t group_bytes;
  int64_t group_count;
  int64_t columns;
  int64_t rows;
  const float* x;  // float formats: [rows, columns]
  int64_t x_stride;
  QuantizedRows q;  // integer formats
  float* tile;      // [rows, tile_stride]
  int64_t tile_stride;
  uint8_t* scratch;  // kMatmulScratch bytes, aligned to 64, of this worker
};
inline constexpr size_t kMatmulScratch = 96 * 1024;

// Where the tokens of one KV block and head are: four groups of 8 tokens. Keys of a group:
// [head_dim][8]; values: [8][head_dim]. Int8 only: per token of the group one float scale for each
// half of a key and one for its value, and the block's base as 16-bit floats: key = base + scale *
// codes, value = scale * codes.
struct KvBlock {
  const uint8_t* keys[kKvBlock / kKvGroup];
  const uint8_t* values[kKvBlock / kKvGroup];
  const float* key_scales[2][kKvBlock / kKvGroup];
  const float* value_scales[kKvBlock / kKvGroup];
  const uint16_t* base;  // [head_dim]
  int tokens;            // that exist, 1..32; the groups they need are set
};

// One query against one block of keys and values in float: the online softmax of Milakov &
// Gimelshein 2018, block by block.
struct AttentionQuery {
  const float* q;  // [head_dim], scale applied
  float* out;      // [head_dim], unnormalised sum so far
  float* state;    // {running maximum, running sum}
  int tokens;      // visible tokens of the block, 1..32
};

struct AttentionShape {
  int64_t head_dim;
  int format;  // of keys and values: 0 int8, 1 f16, 2 f32 (KvFormat)
};

struct Kernels {
  const char* name;
  // Rows at which matmul works best in tiles of `tile_groups` groups; below, any number.
  int tile_groups;

  // out = x * (1 / sqrt(mean(x^2) + epsilon)) * weight. In place is fine.
  void (*rms_norm)(const float* x, const float* weight, float epsilon, int64_t columns, float* out);
  // Quantises one row (pointers in `out` are of that row).
  void (*quantize_row)(const float* x, int64_t columns, const QuantizedRows& out);
  void (*matmul)(const MatmulArgs& args);
  // y = gate / (1 + exp(-gate)) * up
  void (*silu_mul)(const float* gate, const float* up, int64_t count, float* y);
  // Rotates pairs (i, i + half) of x by the angles whose cosines and sines are given.
  void (*rope)(float* x, const float* cosines, const float* sines, int64_t half);
  // Multiplies by the Hadamard matrix of Sylvester's order, `count` a power of two from 8 on, over
  // sqrt(count): spreads a few large elements over all.
  void (*rotate)(float* x, int64_t count);
  // Rounds to 16-bit floats, to nearest even.
  void (*to_f16)(const float* x, int64_t count, uint16_t* out);
  // Adds one block of keys and values to each query. scratch: 2 * 32 * head_dim floats.
  void (*attend)(const KvBlock& block, const AttentionShape& shape, float* scratch,
                 const AttentionQuery* queries, int64_t query_count);
};

const Kernels* kernels_generic();
const Kernels* kernels_avx2();
const Kernels* kernels_avxvnni();
const Kernels* kernels_avx512();

}  // namespace yunqi
