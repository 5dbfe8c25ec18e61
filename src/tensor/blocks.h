// The block decoders behind dequantize(), and small readers they share. Each decoder turns one
// block of its type into floats; the byte layouts are in docs/formats/gguf.md. Internal to tensor/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensor/dtype.h"

namespace yunqi::blocks {

inline constexpr int kSmallBlock = 32;
inline constexpr int kSuperBlock = 256;
// The 16 levels of IQ4_NL and IQ4_XS.
inline constexpr int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

inline float read_f16(const uint8_t* bytes) {
  f16 value;
  std::memcpy(&value.bits, bytes, sizeof(value.bits));
  return to_float(value);
}

// The eight 6-bit (scale, minimum) pairs of Q4_K and Q5_K, packed in 12 bytes: pairs 0-3 sit in
// the low six bits of bytes 0-3 and 4-7; pairs 4-7 take nibbles of bytes 8-11 and the top two bits
// of the first eight.
struct ScaleMin {
  uint8_t scale, minimum;
};
inline ScaleMin unpack_scale_min(const uint8_t* packed, int index) {
  if (index < 4) {
    return {static_cast<uint8_t>(packed[index] & 63), static_cast<uint8_t>(packed[index + 4] & 63)};
  }
  return {static_cast<uint8_t>((packed[index + 4] & 0xf) | ((packed[index - 4] >> 6) << 4)),
          static_cast<uint8_t>((packed[index + 4] >> 4) | ((packed[index] >> 6) << 4))};
}

using DecodeBlock = void (*)(const uint8_t* block, float* out);
void decode_q4_0(const uint8_t* block, float* out);
void decode_q4_1(const uint8_t* block, float* out);
void decode_q5_0(const uint8_t* block, float* out);
void decode_q5_1(const uint8_t* block, float* out);
void decode_q8_0(const uint8_t* block, float* out);
void decode_q2_k(const uint8_t* block, float* out);
void decode_q3_k(const uint8_t* block, float* out);
void decode_q4_k(const uint8_t* block, float* out);
void decode_q5_k(const uint8_t* block, float* out);
void decode_q6_k(const uint8_t* block, float* out);
void decode_iq4_nl(const uint8_t* block, float* out);
void decode_iq4_xs(const uint8_t* block, float* out);

}  // namespace yunqi::blocks
