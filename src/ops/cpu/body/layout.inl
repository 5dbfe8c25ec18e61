// Sizes and scalar readers of the packed integer formats (see kernels.h). Included inside an
// anonymous namespace by every file that reads or writes packed weights.

constexpr int kStepsPerBlock = 8;  // of 4 elements for 8 lanes
constexpr int kStepBytes = 32;
constexpr int kUnitBlocks256 = 8;

struct Layout {
  int bits, offset;
  bool minimum, unit_256, halves;

  constexpr int blocks_per_unit() const { return unit_256 ? kUnitBlocks256 : 1; }
  constexpr size_t header_bytes() const { return minimum ? 32 : 16; }
  // Sub-scales, then sub-minimums, of one block.
  constexpr size_t sub_bytes() const { return unit_256 ? (halves ? 16 : 8) : 0; }
  constexpr size_t code_offset() const { return sub_bytes() * (minimum ? 2 : 1); }
  constexpr size_t code_bytes() const { return static_cast<size_t>(bits) * kStepBytes; }
  constexpr size_t block_bytes() const { return code_offset() + code_bytes(); }
  constexpr size_t unit_bytes() const {
    return header_bytes() + static_cast<size_t>(blocks_per_unit()) * block_bytes();
  }
};

constexpr Layout layout_of(KernelFormat format) {
  switch (format) {
    case KernelFormat::kInt8:
      return {8, 0, false, false, false};
    case KernelFormat::kInt8Sub:
      return {8, 0, false, true, false};
    case KernelFormat::kU4:
      return {4, 8, false, false, false};
    case KernelFormat::kU4Min:
      return {4, 0, true, false, false};
    case KernelFormat::kU5:
      return {5, 16, false, false, false};
    case KernelFormat::kU5Min:
      return {5, 0, true, false, false};
    case KernelFormat::kU4K:
      return {4, 0, true, true, false};
    case KernelFormat::kU5K:
      return {5, 0, true, true, false};
    case KernelFormat::kU4Half:
      return {4, 4, false, true, true};
    case KernelFormat::kU4HalfMin:
      return {4, 0, true, true, true};
    case KernelFormat::kU6Half:
      return {6, 32, false, true, true};
    default:
      return {32, 0, false, false, false};
  }
}

// Element k of row `lane` in a block's codes: the stored code, without its offset.
inline int code_at(const Layout& layout, const uint8_t* codes, int lane, int k) {
  const int step = k / 4, byte = 4 * lane + k % 4;
  if (layout.bits == 8) return static_cast<int8_t>(codes[step * kStepBytes + byte]);
  int code = (codes[(step % 4) * kStepBytes + byte] >> (4 * (step / 4))) & 0xf;
  const uint8_t* planes = codes + 4 * kStepBytes;
  if (layout.bits == 5) code |= ((planes[byte] >> step) & 1) << 4;
  if (layout.bits == 6) {
    code |= ((planes[(step / 4) * kStepBytes + byte] >> (2 * (step % 4))) & 3) << 4;
  }
  return code;
}

// The float of a 16-bit float's bits, exact.
inline float float_of_f16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu, fraction = bits & 0x3ffu;
  uint32_t word;
  if (exponent == 0) {
    // Zero and subnormals: fraction * 2^-24.
    const float value = static_cast<float>(fraction) * 5.9604644775390625e-8f;
    __builtin_memcpy(&word, &value, sizeof(word));
    word |= sign;
  } else if (exponent == 31) {
    word = sign | 0x7f800000u | (fraction << 13);
  } else {
    word = sign | ((exponent + 112) << 23) | (fraction << 13);
  }
  float result;
  __builtin_memcpy(&result, &word, sizeof(result));
  return result;
}

inline uint16_t load_u16(const uint8_t* bytes) {
  uint16_t value;
  __builtin_memcpy(&value, bytes, sizeof(value));
  return value;
}

inline float load_f32(const uint8_t* bytes) {
  float value;
  __builtin_memcpy(&value, bytes, sizeof(value));
  return value;
}
