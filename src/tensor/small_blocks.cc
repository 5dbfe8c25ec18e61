// Decoders of the 32-element block types: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and IQ4_NL. Element j of
// the first half sits in the low nibble of byte j, element j + 16 in the high nibble.
#include "tensor/blocks.h"

namespace yunqi::blocks {
namespace {

// Bit `index` of the 32 fifth bits that Q5 types keep apart from their nibbles, moved to bit 4.
int fifth_bit(const uint8_t* high, int index) {
  return ((high[index / 8] >> (index % 8)) & 1) << 4;
}

}  // namespace

void decode_q4_0(const uint8_t* block, float* out) {
  const float scale = read_f16(block);
  const uint8_t* codes = block + 2;
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>((codes[j] & 0xf) - 8) * scale;
    out[j + 16] = static_cast<float>((codes[j] >> 4) - 8) * scale;
  }
}

void decode_q4_1(const uint8_t* block, float* out) {
  const float scale = read_f16(block), minimum = read_f16(block + 2);
  const uint8_t* codes = block + 4;
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>(codes[j] & 0xf) * scale + minimum;
    out[j + 16] = static_cast<float>(codes[j] >> 4) * scale + minimum;
  }
}

void decode_q5_0(const uint8_t* block, float* out) {
  const float scale = read_f16(block);
  const uint8_t* high = block + 2;
  const uint8_t* codes = block + 6;
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>(((codes[j] & 0xf) | fifth_bit(high, j)) - 16) * scale;
    out[j + 16] = static_cast<float>(((codes[j] >> 4) | fifth_bit(high, j + 16)) - 16) * scale;
  }
}

void decode_q5_1(const uint8_t* block, float* out) {
  const float scale = read_f16(block), minimum = read_f16(block + 2);
  const uint8_t* high = block + 4;
  const uint8_t* codes = block + 8;
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>((codes[j] & 0xf) | fifth_bit(high, j)) * scale + minimum;
    out[j + 16] = static_cast<float>((codes[j] >> 4) | fifth_bit(high, j + 16)) * scale + minimum;
  }
}

void decode_q8_0(const uint8_t* block, float* out) {
  const float scale = read_f16(block);
  for (int j = 0; j < kSmallBlock; ++j) {
    out[j] = static_cast<float>(static_cast<int8_t>(block[2 + j])) * scale;
  }
}

void decode_iq4_nl(const uint8_t* block, float* out) {
  const float scale = read_f16(block);
  const uint8_t* codes = block + 2;
  for (int j = 0; j < 16; ++j) {
    out[j] = scale * static_cast<float>(kIq4Levels[codes[j] & 0xf]);
    out[j + 16] = scale * static_cast<float>(kIq4Levels[codes[j] >> 4]);
  }
}

}  // namespace yunqi::blocks
