// quantize(): floats to block types, round to nearest, no importance weights. Made for tests and
// synthetic models; files made by others are only decoded. Pure functions; any thread.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/blocks.h"
#include "tensor/quant.h"

namespace yunqi {
namespace {

using blocks::kSmallBlock;
using blocks::kSuperBlock;

// Rounds a scale to its stored form and returns what a decoder will read. Scales below half of
// the smallest 16-bit float become zero; sizes beyond its range are caught by quantize().
float store_f16(uint8_t* out, float value) {
  const f16 stored = to_f16(value);
  std::memcpy(out, &stored.bits, sizeof(stored.bits));
  return to_float(stored);
}

int round_and_clamp(float value, int low, int high) {
  const float clamped = std::clamp(value, static_cast<float>(low), static_cast<float>(high));
  return static_cast<int>(std::nearbyintf(clamped));
}

float divide(float value, float by) { return by == 0.0f ? 0.0f : value / by; }

// The value of largest magnitude, with its sign.
float signed_extreme(std::span<const float> values) {
  float extreme = 0.0f;
  for (const float value : values) {
    if (std::fabs(value) > std::fabs(extreme)) extreme = value;
  }
  return extreme;
}

void encode_q8_0(const float* values, uint8_t* out) {
  const float extreme = std::fabs(signed_extreme({values, kSmallBlock}));
  const float scale = store_f16(out, extreme / 127.0f);
  for (int j = 0; j < kSmallBlock; ++j) {
    const int code = round_and_clamp(divide(values[j], scale), -127, 127);
    out[2 + j] = static_cast<uint8_t>(static_cast<int8_t>(code));
  }
}

// The value of largest magnitude gets the most negative code, so that it is met exactly.
void encode_q4_0(const float* values, uint8_t* out) {
  const float scale = store_f16(out, signed_extreme({values, kSmallBlock}) / -8.0f);
  for (int j = 0; j < 16; ++j) {
    const int low = round_and_clamp(divide(values[j], scale), -8, 7) + 8;
    const int high = round_and_clamp(divide(values[j + 16], scale), -8, 7) + 8;
    out[2 + j] = static_cast<uint8_t>(low | (high << 4));
  }
}

void encode_q5_0(const float* values, uint8_t* out) {
  const float scale = store_f16(out, signed_extreme({values, kSmallBlock}) / -16.0f);
  std::memset(out + 2, 0, 4);
  for (int j = 0; j < 16; ++j) {
    const int low = round_and_clamp(divide(values[j], scale), -16, 15) + 16;
    const int high = round_and_clamp(divide(values[j + 16], scale), -16, 15) + 16;
    out[6 + j] = static_cast<uint8_t>((low & 0xf) | ((high & 0xf) << 4));
    out[2 + j / 8] = static_cast<uint8_t>(out[2 + j / 8] | ((low >> 4) << (j % 8)));
    out[4 + j / 8] = static_cast<uint8_t>(out[4 + j / 8] | ((high >> 4) << (j % 8)));
  }
}

// Inverse of blocks::unpack_scale_min; `packed` starts as zeros.
void pack_scale_min(uint8_t* packed, int index, int scale, int minimum) {
  if (index < 4) {
    packed[index] = static_cast<uint8_t>(packed[index] | scale);
    packed[index + 4] = static_cast<uint8_t>(packed[index + 4] | minimum);
    return;
  }
  packed[index + 4] = static_cast<uint8_t>((scale & 0xf) | ((minimum & 0xf) << 4));
  packed[index - 4] = static_cast<uint8_t>(packed[index - 4] | ((scale >> 4) << 6));
  packed[index] = static_cast<uint8_t>(packed[index] | ((minimum >> 4) << 6));
}

void encode_q4_k(const float* values, uint8_t* out) {
  float steps[8], minima[8];
  float largest_step = 0.0f, largest_minimum = 0.0f;
  for (int sub = 0; sub < 8; ++sub) {
    const float* begin = values + 32 * sub;
    const float low = std::min(0.0f, *std::min_element(begin, begin + 32));
    const float high = *std::max_element(begin, begin + 32);
    steps[sub] = std::max(0.0f, high / 15.0f - low / 15.0f);
    minima[sub] = -low;
    largest_step = std::max(largest_step, steps[sub]);
    largest_minimum = std::max(largest_minimum, minima[sub]);
  }
  const float scale = store_f16(out, largest_step / 63.0f);
  const float minimum = store_f16(out + 2, largest_minimum / 63.0f);
  std::memset(out + 4, 0, 12);
  for (int sub = 0; sub < 8; ++sub) {
    pack_scale_min(out + 4, sub, round_and_clamp(divide(steps[sub], scale), 0, 63),
                   round_and_clamp(divide(minima[sub], minimum), 0, 63));
  }
  std::memset(out + 16, 0, 128);
  for (int sub = 0; sub < 8; ++sub) {
    const blocks::ScaleMin pair = blocks::unpack_scale_min(out + 4, sub);
    const float step = scale * static_cast<float>(pair.scale);
    const float offset = minimum * static_cast<float>(pair.minimum);
    uint8_t* codes = out + 16 + 32 * (sub / 2);
    for (int j = 0; j < 32; ++j) {
      const int code = round_and_clamp(divide(values[32 * sub + j] + offset, step), 0, 15);
      codes[j] = static_cast<uint8_t>(codes[j] | (code << (4 * (sub % 2))));
    }
  }
}

void encode_q6_k(const float* values, uint8_t* out) {
  float steps[16];
  for (int sub = 0; sub < 16; ++sub) {
    steps[sub] = signed_extreme({values + 16 * sub, 16}) / -32.0f;
  }
  const float scale = store_f16(out + 208, signed_extreme(steps) / -128.0f);
  std::memset(out, 0, 192);
  for (int sub = 0; sub < 16; ++sub) {
    const int sub_scale = round_and_clamp(divide(steps[sub], scale), -128, 127);
    out[192 + sub] = static_cast<uint8_t>(static_cast<int8_t>(sub_scale));
    const float step = scale * static_cast<float>(sub_scale);
    const int group = sub / 2, half = group / 4, quarter = group % 4;
    uint8_t* low = out + 64 * half + 32 * (quarter % 2) + 16 * (sub % 2);
    uint8_t* high = out + 128 + 32 * half + 16 * (sub % 2);
    for (int j = 0; j < 16; ++j) {
      const int code = round_and_clamp(divide(values[16 * sub + j], step), -32, 31) + 32;
      low[j] = static_cast<uint8_t>(low[j] | ((code & 0xf) << (4 * (quarter / 2))));
      high[j] = static_cast<uint8_t>(high[j] | ((code >> 4) << (2 * quarter)));
    }
  }
}

using EncodeBlock = void (*)(const float* values, uint8_t* out);
struct Encoder {
  EncodeBlock encode = nullptr;
  float largest = 0;  // magnitudes up to this keep every 16-bit scale finite
};

Encoder encoder_of(DType dtype) {
  constexpr float kLargestF16 = 65504.0f;
  switch (dtype) {
    case DType::kQ8_0:
      return {encode_q8_0, kLargestF16 * 127};
    case DType::kQ4_0:
      return {encode_q4_0, kLargestF16 * 8};
    case DType::kQ5_0:
      return {encode_q5_0, kLargestF16 * 16};
    case DType::kQ4_K:
      return {encode_q4_k, kLargestF16 * 63};
    case DType::kQ6_K:
      return {encode_q6_k, kLargestF16 * 32 * 128};
    default:
      return {};
  }
}

}  // namespace

Status quantize(DType dtype, std::span<const float> values, std::span<std::byte> out) {
  const DTypeInfo& info = dtype_info(dtype);
  const auto want = dtype_bytes(dtype, values.size());
  if (!want || *want != out.size()) {
    return error(Code::kInvalidArgument, "quantize: {} elements of {} do not fill {} bytes",
                 values.size(), info.name, out.size());
  }
  auto* target = reinterpret_cast<uint8_t*>(out.data());
  if (const Encoder encoder = encoder_of(dtype); encoder.encode != nullptr) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (!(std::fabs(values[i]) <= encoder.largest)) {
        return error(Code::kInvalidArgument, "quantize: value {} at {} is out of range for {}",
                     values[i], i, info.name);
      }
    }
    for (size_t i = 0; i < values.size(); i += info.block_elements, target += info.block_bytes) {
      encoder.encode(values.data() + i, target);
    }
    return Status::ok();
  }
  switch (dtype) {
    case DType::kF32:
      if (!out.empty()) std::memcpy(target, values.data(), out.size());
      return Status::ok();
    case DType::kF16:
      for (size_t i = 0; i < values.size(); ++i) store_f16(target + 2 * i, values[i]);
      return Status::ok();
    case DType::kBF16:
      for (size_t i = 0; i < values.size(); ++i) {
        const bf16 stored = to_bf16(values[i]);
        std::memcpy(target + 2 * i, &stored.bits, sizeof(stored.bits));
      }
      return Status::ok();
    default:
      return error(Code::kUnsupported, "quantize: {} has no encoder", info.name);
  }
}

}  // namespace yunqi
