// Packed weight matrices: the kernel layout of kernels.h, made once from a file's rows. Immutable
// after prepare; read by every worker.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "ops/cpu/kernels.h"
#include "ops/device.h"

namespace yunqi {

// Rows of one part: same format, whole groups of 8 lanes (the last one padded with zeros).
struct WeightSegment {
  KernelFormat format = KernelFormat::kF32;
  int64_t row_begin = 0, rows = 0;
  const uint8_t* data = nullptr;
  size_t group_bytes = 0;

  int64_t groups() const { return (rows + kLanes - 1) / kLanes; }
  const uint8_t* group(int64_t index) const {
    return data + static_cast<size_t>(index) * group_bytes;
  }
};

class PackedWeight final : public Weight {
 public:
  int64_t rows() const override { return rows_; }
  int64_t columns() const override { return columns_; }
  uint64_t bytes() const override { return bytes_; }

  std::span<const WeightSegment> segments() const { return segments_; }
  std::span<const float> bias() const { return bias_; }  // [rows] or empty
  bool has_integer_segments() const { return has_integer_; }
  bool has_float_segments() const { return has_float_; }

  // The values of one row, exactly as the file's reference codec gives them. out: [columns].
  void unpack_row(int64_t row, std::span<float> out) const;

  static Result<std::unique_ptr<PackedWeight>> pack(std::span<const WeightSource> parts,
                                                    std::span<const float> bias,
                                                    const Numerics& numerics, ThreadPool& pool);

 private:
  int64_t rows_ = 0, columns_ = 0;
  uint64_t bytes_ = 0;
  bool has_integer_ = false, has_float_ = false;
  std::vector<WeightSegment> segments_;
  std::vector<Buffer> storage_;
  std::vector<float> bias_;
};

// Bytes of a group of 8 rows in a format.
size_t packed_group_bytes(KernelFormat format, int64_t columns);

}  // namespace yunqi
