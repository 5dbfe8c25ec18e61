// Decoders of the 256-element block types: Q2_K to Q6_K and IQ4_XS. A super-block holds eight or
// sixteen sub-blocks whose small integer scales multiply one or two 16-bit float scales.
#include "tensor/blocks.h"

namespace yunqi::blocks {

// 16 bytes of (scale, minimum) nibbles, 64 bytes of 2-bit codes, scale, minimum scale.
void decode_q2_k(const uint8_t* block, float* out) {
  const uint8_t* pairs = block;
  const uint8_t* codes = block + 16;
  const float scale = read_f16(block + 80), minimum = read_f16(block + 82);
  for (int sub = 0; sub < 16; ++sub) {
    const float sub_scale = scale * static_cast<float>(pairs[sub] & 0xf);
    const float sub_minimum = minimum * static_cast<float>(pairs[sub] >> 4);
    // Eight sub-blocks share 32 bytes: two halves of 16 bytes, four bit positions.
    const uint8_t* source = codes + 32 * (sub / 8) + 16 * (sub % 2);
    const int shift = 2 * ((sub / 2) % 4);
    for (int j = 0; j < 16; ++j) {
      out[16 * sub + j] = sub_scale * static_cast<float>((source[j] >> shift) & 3) - sub_minimum;
    }
  }
}

// 32 bytes of third bits (clear means minus 4), 64 bytes of 2-bit codes, 12 bytes of 6-bit scales
// (biased by 32), scale.
void decode_q3_k(const uint8_t* block, float* out) {
  const uint8_t* high = block;
  const uint8_t* codes = block + 32;
  const uint8_t* packed = block + 96;
  const float scale = read_f16(block + 108);
  for (int sub = 0; sub < 16; ++sub) {
    const int low_bits = (packed[sub % 8] >> (4 * (sub / 8))) & 0xf;
    const int high_bits = (packed[8 + sub % 4] >> (2 * (sub / 4))) & 3;
    const float sub_scale = scale * static_cast<float>((low_bits | (high_bits << 4)) - 32);
    const uint8_t* source = codes + 32 * (sub / 8) + 16 * (sub % 2);
    const uint8_t* third = high + 16 * (sub % 2);
    const int shift = 2 * ((sub / 2) % 4);
    for (int j = 0; j < 16; ++j) {
      const int code = (source[j] >> shift) & 3;
      const int bias = ((third[j] >> (sub / 2)) & 1) != 0 ? 0 : 4;
      out[16 * sub + j] = sub_scale * static_cast<float>(code - bias);
    }
  }
}

// Scale, minimum scale, 12 bytes of 6-bit pairs, 128 bytes of nibbles: 32 bytes hold sub-block 2k
// in their low and 2k + 1 in their high nibbles.
void decode_q4_k(const uint8_t* block, float* out) {
  const float scale = read_f16(block), minimum = read_f16(block + 2);
  const uint8_t* codes = block + 16;
  for (int sub = 0; sub < 8; ++sub) {
    const ScaleMin pair = unpack_scale_min(block + 4, sub);
    const float sub_scale = scale * static_cast<float>(pair.scale);
    const float sub_minimum = minimum * static_cast<float>(pair.minimum);
    const uint8_t* source = codes + 32 * (sub / 2);
    const int shift = 4 * (sub % 2);
    for (int j = 0; j < 32; ++j) {
      out[32 * sub + j] = sub_scale * static_cast<float>((source[j] >> shift) & 0xf) - sub_minimum;
    }
  }
}

// As Q4_K with 32 bytes of fifth bits before the nibbles: bit `sub` of byte j.
void decode_q5_k(const uint8_t* block, float* out) {
  const float scale = read_f16(block), minimum = read_f16(block + 2);
  const uint8_t* high = block + 16;
  const uint8_t* codes = block + 48;
  for (int sub = 0; sub < 8; ++sub) {
    const ScaleMin pair = unpack_scale_min(block + 4, sub);
    const float sub_scale = scale * static_cast<float>(pair.scale);
    const float sub_minimum = minimum * static_cast<float>(pair.minimum);
    const uint8_t* source = codes + 32 * (sub / 2);
    const int shift = 4 * (sub % 2);
    for (int j = 0; j < 32; ++j) {
      const int code = ((source[j] >> shift) & 0xf) | (((high[j] >> sub) & 1) << 4);
      out[32 * sub + j] = sub_scale * static_cast<float>(code) - sub_minimum;
    }
  }
}

// 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales, scale. In each half of
// 128 elements, group g of 32 has its nibbles at byte 32 * (g % 2), low ones first, and its bit
// pair at position 2 * g.
void decode_q6_k(const uint8_t* block, float* out) {
  const float scale = read_f16(block + 208);
  for (int group = 0; group < 8; ++group) {
    const int half = group / 4, quarter = group % 4;
    const uint8_t* low = block + 64 * half + 32 * (quarter % 2);
    const uint8_t* high = block + 128 + 32 * half;
    const uint8_t* scales = block + 192 + 2 * group;
    for (int j = 0; j < 32; ++j) {
      const int low_bits = (low[j] >> (4 * (quarter / 2))) & 0xf;
      const int code = low_bits | (((high[j] >> (2 * quarter)) & 3) << 4);
      const float sub_scale = scale * static_cast<float>(static_cast<int8_t>(scales[j / 16]));
      out[32 * group + j] = sub_scale * static_cast<float>(code - 32);
    }
  }
}

// Scale, 16 bits and 4 bytes that make eight 6-bit scales (biased by 32), 128 bytes of nibbles
// that index the same levels as IQ4_NL.
void decode_iq4_xs(const uint8_t* block, float* out) {
  const float scale = read_f16(block);
  const unsigned high = block[2] | (unsigned{block[3]} << 8);
  const uint8_t* low = block + 4;
  for (int sub = 0; sub < 8; ++sub) {
    const int low_bits = (low[sub / 2] >> (4 * (sub % 2))) & 0xf;
    const int high_bits = static_cast<int>((high >> (2 * sub)) & 3u);
    const float sub_scale = scale * static_cast<float>((low_bits | (high_bits << 4)) - 32);
    const uint8_t* codes = block + 8 + 16 * sub;
    for (int j = 0; j < 16; ++j) {
      out[32 * sub + j] = sub_scale * static_cast<float>(kIq4Levels[codes[j] & 0xf]);
      out[32 * sub + j + 16] = sub_scale * static_cast<float>(kIq4Levels[codes[j] >> 4]);
    }
  }
}

}  // namespace yunqi::blocks
