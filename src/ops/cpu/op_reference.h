// Plain float64 references of the operations and random inputs, for the op-table tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "ops/cpu/cpu_device.h"
#include "ops/ops.h"
#include "tensor/quant.h"

namespace yunqi {

// Deterministic numbers (SplitMix64).
class TestRandom {
 public:
  explicit TestRandom(uint64_t seed) : state_(seed) {}
  uint64_t bits() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // Uniform in [-1, 1).
  float unit() { return static_cast<float>(static_cast<double>(bits() >> 11) * 0x1p-52 - 1.0); }
  std::vector<float> values(size_t count, float scale = 1.0f) {
    std::vector<float> result(count);
    for (float& value : result) value = scale * unit();
    return result;
  }

 private:
  uint64_t state_;
};

// A matrix as a file would have it, and the same as floats.
struct TestMatrix {
  DType dtype = DType::kF32;
  int64_t rows = 0, columns = 0;
  std::vector<std::byte> bytes;
  std::vector<float> floats;

  WeightSource source() const { return {dtype, rows, columns, bytes, "test"}; }
  std::span<const float> row(int64_t r) const {
    return std::span(floats).subspan(static_cast<size_t>(r * columns),
                                     static_cast<size_t>(columns));
  }
};

// Random codes with sane scales, for any dtype of tensor/quant.h.
inline TestMatrix random_matrix(DType dtype, int64_t rows, int64_t columns, uint64_t seed) {
  TestRandom random(seed);
  TestMatrix matrix{dtype, rows, columns, {}, {}};
  const auto elements = static_cast<size_t>(rows * columns);
  matrix.bytes.resize(static_cast<size_t>(*dtype_bytes(dtype, elements)));
  matrix.floats.resize(elements);
  const DTypeInfo& info = dtype_info(dtype);
  if (!info.is_quantized()) {
    for (size_t i = 0; i < elements; ++i) {
      std::byte* at = matrix.bytes.data() + i * info.block_bytes;
      const float value = random.unit();
      const uint16_t f16_bits = to_f16(value).bits, bf16_bits = to_bf16(value).bits;
      // Any E4M3 byte but the NaNs.
      const auto byte = static_cast<uint8_t>(random.bits() % 0x7f + (random.bits() % 2) * 0x80);
      const void* from = dtype == DType::kF32    ? static_cast<const void*>(&value)
                         : dtype == DType::kF16  ? static_cast<const void*>(&f16_bits)
                         : dtype == DType::kBF16 ? static_cast<const void*>(&bf16_bits)
                                                 : static_cast<const void*>(&byte);
      std::memcpy(at, from, info.block_bytes);
    }
  } else {
    for (std::byte& byte : matrix.bytes) byte = static_cast<std::byte>(random.bits() & 0xff);
    // Where the 16-bit floats of a block are.
    std::vector<size_t> offsets = {0};
    switch (dtype) {
      case DType::kQ4_1:
      case DType::kQ5_1:
      case DType::kQ4_K:
      case DType::kQ5_K:
        offsets = {0, 2};
        break;
      case DType::kQ2_K:
        offsets = {80, 82};
        break;
      case DType::kQ3_K:
        offsets = {108};
        break;
      case DType::kQ6_K:
        offsets = {208};
        break;
      default:
        break;
    }
    for (size_t block = 0; block < matrix.bytes.size(); block += info.block_bytes) {
      for (const size_t offset : offsets) {
        const uint16_t bits = to_f16(0.01f + 0.01f * random.unit()).bits;
        std::memcpy(matrix.bytes.data() + block + offset, &bits, 2);
      }
    }
  }
  const Status status = dequantize(dtype, matrix.bytes, matrix.floats);
  YQ_CHECK(status.is_ok(), "{}", status.message());
  return matrix;
}

inline std::vector<double> reference_norm(std::span<const float> x, std::span<const float> weight,
                                          double epsilon) {
  double sum = 0;
  for (const float value : x) sum += static_cast<double>(value) * static_cast<double>(value);
  const double scale = 1.0 / std::sqrt(sum / static_cast<double>(x.size()) + epsilon);
  std::vector<double> result(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    result[i] = static_cast<double>(x[i]) * scale * static_cast<double>(weight[i]);
  }
  return result;
}

// The row rounded to int8 per 32, as the integer path sees it.
inline std::vector<double> rounded_to_int8(std::span<const double> x) {
  std::vector<double> result(x.begin(), x.end());
  for (size_t begin = 0; begin + 32 <= result.size(); begin += 32) {
    double largest = 0;
    for (size_t i = begin; i < begin + 32; ++i) largest = std::max(largest, std::fabs(result[i]));
    if (largest == 0) continue;
    for (size_t i = begin; i < begin + 32; ++i) {
      result[i] = std::nearbyint(result[i] * 127 / largest) * largest / 127;
    }
  }
  return result;
}

inline double dot(std::span<const float> w, std::span<const double> x) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += static_cast<double>(w[i]) * x[i];
  return sum;
}

// max |a - b| / max |b|
template <typename T>
double relative_error(std::span<const float> a, const std::vector<T>& b) {
  double largest = 1e-30, difference = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    largest = std::max(largest, std::fabs(static_cast<double>(b[i])));
    const double d = std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    difference = std::isnan(d) ? 1e30 : std::max(difference, d);
  }
  return difference / largest;
}

inline std::unique_ptr<Device> test_device(std::string_view isa, int threads = 2) {
  auto device = make_cpu_device({threads, std::string(isa)});
  YQ_CHECK(device.is_ok(), "{}", device.status().message());
  return std::move(device).value();
}

}  // namespace yunqi
