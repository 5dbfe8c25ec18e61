// The kernel table in plain C++: the definition to read, and what runs where no ISA table does.
// Each sum here runs in one fixed order; the other tables have their own, also fixed.
#include "ops/cpu/kernels.h"

namespace yunqi {
namespace {

#include "ops/cpu/body/layout.inl"

float max_of(float a, float b) { return a > b ? a : b; }

// e^x: 2^n * p(r) with n = round(x / ln 2); relative error below 2e-7. Clamped to normal floats.
float exp_of(float x) {
  if (x < -87.0f) return 0.0f;
  if (x > 88.0f) x = 88.0f;
  const float n = __builtin_floorf(x * 1.44269504f + 0.5f);
  float r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23;
  float power;
  __builtin_memcpy(&power, &bits, sizeof(power));
  return p * power;
}

// Sum of eight by a fixed tree.
float tree_sum(const float (&lanes)[8]) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
         ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

void rms_norm(const float* x, const float* weight, float epsilon, int64_t columns, float* out) {
  float lanes[8] = {};
  for (int64_t k = 0; k < columns; ++k) lanes[k % 8] += x[k] * x[k];
  const float mean = tree_sum(lanes) / static_cast<float>(columns);
  const float scale = 1.0f / __builtin_sqrtf(mean + epsilon);
  for (int64_t k = 0; k < columns; ++k) out[k] = x[k] * scale * weight[k];
}

void quantize_row(const float* x, int64_t columns, const QuantizedRows& out) {
  for (int64_t b = 0; b < columns / kBlock; ++b) {
    float largest = 0.0f;
    for (int k = 0; k < kBlock; ++k) {
      largest = max_of(largest, __builtin_fabsf(x[b * kBlock + k]));
    }
    const float scale = largest / 127.0f;
    const float inverse = largest > 0.0f ? 127.0f / largest : 0.0f;
    int halves[2] = {};
    for (int k = 0; k < kBlock; ++k) {
      // To nearest even. What is no number, or would be none (a block of subnormals), gives 0.
      const float scaled = __builtin_rintf(x[b * kBlock + k] * inverse);
      const int code = scaled >= -127.0f && scaled <= 127.0f ? static_cast<int>(scaled) : 0;
      out.codes[b * kBlock + k] = static_cast<int8_t>(code);
      halves[k / 16] += code;
    }
    const int sum = halves[0] + halves[1];
    out.blocks[b] = {scale,
                     scale * static_cast<float>(sum),
                     sum,
                     {static_cast<int16_t>(halves[0]), static_cast<int16_t>(halves[1])}};
  }
}

// One block of one group for all rows: integer dots, then one float addition per output.
struct BlockWeights {
  int8_t codes[kLanes][kBlock];  // without offset
  float d[kLanes], m[kLanes];
  int sub[2][kLanes], sub_minimum[2][kLanes];
};

void load_block(const Layout& layout, const uint8_t* unit, const uint8_t* block,
                BlockWeights& out) {
  for (int r = 0; r < kLanes; ++r) {
    out.d[r] = float_of_f16(load_u16(unit + 2 * r));
    out.m[r] = layout.minimum ? float_of_f16(load_u16(unit + 16 + 2 * r)) : 0.0f;
    for (int half = 0; half < 2; ++half) {
      const size_t s = static_cast<size_t>(r + (layout.halves ? 8 * half : 0));
      out.sub[half][r] = layout.unit_256 ? static_cast<int8_t>(block[s]) : 1;
      out.sub_minimum[half][r] =
          layout.unit_256 && layout.minimum ? block[layout.sub_bytes() + s] : 1;
    }
    for (int k = 0; k < kBlock; ++k) {
      out.codes[r][k] =
          static_cast<int8_t>(code_at(layout, block + layout.code_offset(), r, k) - layout.offset);
    }
  }
}

void add_block(const Layout& layout, const BlockWeights& w, const int8_t* x,
               const BlockScale& x_block, float* tile) {
  const float scale = x_block.scale;
  for (int r = 0; r < kLanes; ++r) {
    int dots[2] = {};
    for (int k = 0; k < kBlock; ++k) dots[k / 16] += w.codes[r][k] * x[k];
    if (layout.halves) {
      const int dot = w.sub[0][r] * dots[0] + w.sub[1][r] * dots[1];
      tile[r] = tile[r] + static_cast<float>(dot) * (w.d[r] * scale);
      if (layout.minimum) {
        const int sum =
            w.sub_minimum[0][r] * x_block.half_sums[0] + w.sub_minimum[1][r] * x_block.half_sums[1];
        tile[r] = tile[r] - static_cast<float>(sum) * (w.m[r] * scale);
      }
    } else {
      const float weight_scale = w.d[r] * static_cast<float>(w.sub[0][r]);
      tile[r] = tile[r] + static_cast<float>(dots[0] + dots[1]) * (weight_scale * scale);
      if (layout.minimum) {
        tile[r] = tile[r] - w.m[r] * static_cast<float>(w.sub_minimum[0][r]) * x_block.scaled_sum;
      }
    }
  }
}

void matmul_integer(const MatmulArgs& args) {
  const Layout layout = layout_of(args.format);
  const int64_t blocks = args.columns / kBlock;
  const int per_unit = layout.blocks_per_unit();
  for (int64_t g = 0; g < args.group_count; ++g) {
    for (int64_t b = 0; b < blocks; ++b) {
      const uint8_t* unit = args.groups + static_cast<size_t>(g) * args.group_bytes +
                            static_cast<size_t>(b / per_unit) * layout.unit_bytes();
      const uint8_t* block =
          unit + layout.header_bytes() + static_cast<size_t>(b % per_unit) * layout.block_bytes();
      BlockWeights w;
      load_block(layout, unit, block, w);
      for (int64_t row = 0; row < args.rows; ++row) {
        float* tile = args.tile + row * args.tile_stride + g * kLanes;
        if (b == 0) {
          for (int r = 0; r < kLanes; ++r) tile[r] = 0.0f;
        }
        add_block(layout, w, args.q.codes + (row * blocks + b) * kBlock,
                  args.q.blocks[row * blocks + b], tile);
      }
    }
  }
}

float load_weight(KernelFormat format, const uint8_t* group, int64_t index) {
  if (format == KernelFormat::kF32) return load_f32(group + 4 * index);
  const uint16_t bits = load_u16(group + 2 * index);
  if (format == KernelFormat::kF16) return float_of_f16(bits);
  const uint32_t word = static_cast<uint32_t>(bits) << 16;
  float value;
  __builtin_memcpy(&value, &word, sizeof(value));
  return value;
}

// Sums of 32 of K, added up: keeps the rounding error of long rows small.
void matmul_float(const MatmulArgs& args) {
  for (int64_t g = 0; g < args.group_count; ++g) {
    const uint8_t* group = args.groups + static_cast<size_t>(g) * args.group_bytes;
    for (int64_t row = 0; row < args.rows; ++row) {
      float* tile = args.tile + row * args.tile_stride + g * kLanes;
      for (int r = 0; r < kLanes; ++r) tile[r] = 0.0f;
    }
    for (int64_t begin = 0; begin < args.columns; begin += kBlock) {
      float w[kBlock * kLanes];
      for (int k = 0; k < kBlock * kLanes; ++k) {
        w[k] = load_weight(args.format, group, begin * kLanes + k);
      }
      for (int64_t row = 0; row < args.rows; ++row) {
        const float* x = args.x + row * args.x_stride + begin;
        float sums[kLanes] = {};
        for (int k = 0; k < kBlock; ++k) {
          for (int r = 0; r < kLanes; ++r) sums[r] += w[k * kLanes + r] * x[k];
        }
        float* tile = args.tile + row * args.tile_stride + g * kLanes;
        for (int r = 0; r < kLanes; ++r) tile[r] += sums[r];
      }
    }
  }
}

void matmul(const MatmulArgs& args) {
  if (args.format <= KernelFormat::kBF16) {
    matmul_float(args);
  } else {
    matmul_integer(args);
  }
}

void silu_mul(const float* gate, const float* up, int64_t count, float* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = gate[i] / (1.0f + exp_of(-gate[i])) * up[i];
}

void rope(float* x, const float* cosines, const float* sines, int64_t half) {
  for (int64_t i = 0; i < half; ++i) {
    const float a = x[i], b = x[i + half];
    x[i] = a * cosines[i] - b * sines[i];
    x[i + half] = b * cosines[i] + a * sines[i];
  }
}

void rotate(float* x, int64_t count) {
  for (int64_t half = 1; half < count; half *= 2) {
    for (int64_t begin = 0; begin < count; begin += 2 * half) {
      for (int64_t i = begin; i < begin + half; ++i) {
        const float a = x[i], b = x[i + half];
        x[i] = a + b;
        x[i + half] = a - b;
      }
    }
  }
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(count));
  for (int64_t i = 0; i < count; ++i) x[i] *= scale;
}

uint16_t f16_of(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof(bits));
  const uint32_t sign = (bits >> 16) & 0x8000u;
  bits &= 0x7fffffffu;
  if (bits > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (bits >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
  if (bits < 0x38800000u) {
    // Subnormal: adding 0.5 leaves round(value * 2^24) in the low bits.
    float magnitude;
    __builtin_memcpy(&magnitude, &bits, sizeof(magnitude));
    magnitude += 0.5f;
    __builtin_memcpy(&bits, &magnitude, sizeof(bits));
    return static_cast<uint16_t>(sign | (bits - 0x3f000000u));
  }
  const uint32_t rounded = bits - 0x38000000u + 0xfffu + ((bits >> 13) & 1u);
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

void to_f16(const float* x, int64_t count, uint16_t* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = f16_of(x[i]);
}

float load_kv_value(const uint8_t* data, int format, int64_t index, float scale) {
  if (format == 0) return static_cast<float>(static_cast<int8_t>(data[index])) * scale;
  if (format == 1) return float_of_f16(load_u16(data + 2 * index));
  return load_f32(data + 4 * index);
}

void load_kv(const KvBlock& block, int format, int64_t head_dim, float* keys, float* values) {
  for (int t = 0; t < block.tokens; ++t) {
    const int group = t / kKvGroup, lane = t % kKvGroup;
    const float value_scale = format == 0 ? block.value_scales[group][lane] : 1.0f;
    for (int64_t i = 0; i < head_dim; ++i) {
      float& key = keys[i * kKvBlock + t];
      const float key_scale =
          format == 0 ? block.key_scales[i < head_dim / 2 ? 0 : 1][group][lane] : 1.0f;
      key = load_kv_value(block.keys[group], format, i * kKvGroup + lane, key_scale);
      if (format == 0) key += float_of_f16(block.base[i]);
      values[t * head_dim + i] =
          load_kv_value(block.values[group], format, lane * head_dim + i, value_scale);
    }
  }
}

void attend(const KvBlock& block, const AttentionShape& shape, float* scratch,
            const AttentionQuery* queries, int64_t query_count) {
  const int64_t head_dim = shape.head_dim;
  float* const keys = scratch;
  float* const values = scratch + kKvBlock * head_dim;
  load_kv(block, shape.format, head_dim, keys, values);
  for (int64_t n = 0; n < query_count; ++n) {
    const AttentionQuery& query = queries[n];
    float scores[kKvBlock] = {};
    for (int64_t i = 0; i < head_dim; ++i) {
      for (int t = 0; t < query.tokens; ++t) scores[t] += query.q[i] * keys[i * kKvBlock + t];
    }
    float maximum = query.state[0];
    for (int t = 0; t < query.tokens; ++t) maximum = max_of(maximum, scores[t]);
    const float correction = exp_of(query.state[0] - maximum);
    float sum = 0.0f;
    for (int t = 0; t < query.tokens; ++t) {
      scores[t] = exp_of(scores[t] - maximum);
      sum += scores[t];
    }
    query.state[0] = maximum;
    query.state[1] = query.state[1] * correction + sum;
    for (int64_t i = 0; i < head_dim; ++i) {
      float out = query.out[i] * correction;
      for (int t = 0; t < query.tokens; ++t) out += scores[t] * values[t * head_dim + i];
      query.out[i] = out;
    }
  }
}

constexpr Kernels kTable = {
    "generic", 2, rms_norm, quantize_row, matmul, silu_mul, rope, rotate, to_f16, attend,
};

}  // namespace

const Kernels* kernels_generic() { return &kTable; }

}  // namespace yunqi
