// A device: memory, prepared weights, and the factory of operations. Concrete ones live in
// ops/cpu and ops/cuda; only app, tests and benches name them. Thread-safe unless said otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/result.h"
#include "tensor/dtype.h"

namespace yunqi {

// Bytes on a device, freed with the object. On the CPU data() can be read and written directly.
class Buffer {
 public:
  using Deleter = void (*)(void* data, size_t bytes);
  Buffer() = default;
  Buffer(void* data, size_t bytes, Deleter deleter)
      : data_(data), bytes_(bytes), deleter_(deleter) {}
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(deleter_, other.deleter_);
    return *this;
  }
  ~Buffer() {
    if (deleter_ != nullptr) deleter_(data_, bytes_);
  }

  std::byte* data() const { return static_cast<std::byte*>(data_); }
  size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
  Deleter deleter_ = nullptr;
};

// How numbers are kept between operations. Each choice is one numeric definition; goldens use
// float32 for both.
enum class ActivationFormat { kInt8, kFloat32 };  // int8: one float scale per 32 of K
enum class KvFormat { kInt8, kF16, kF32 };        // int8: one float scale per (token, head)

struct Numerics {
  ActivationFormat activations = ActivationFormat::kInt8;
  KvFormat kv = KvFormat::kF16;
};

// A weight matrix as a file has it, [rows = outputs, columns = inputs], row-major.
struct WeightSource {
  DType dtype = DType::kF32;
  int64_t rows = 0, columns = 0;
  std::span<const std::byte> bytes;
  std::string name;  // for errors
};

// A weight matrix in the device's kernel layout, made once by Device::prepare. Immutable.
class Weight {
 public:
  virtual ~Weight() = default;
  virtual int64_t rows() const = 0;
  virtual int64_t columns() const = 0;
  // Bytes that one pass over the matrix reads.
  virtual uint64_t bytes() const = 0;
};

// What one token's keys and values look like in one layer.
struct KvLayout {
  int32_t kv_heads = 0;
  int32_t head_dim = 0;
  int32_t page_tokens = 32;
  KvFormat format = KvFormat::kF16;
};

// Rotary embedding of a model: pairs (i, i + rotary_dim / 2), as transformers' "default" and
// "yarn".
struct RopeSpec {
  int32_t rotary_dim = 0;
  double theta = 10000.0;
  int64_t max_positions = 0;
  // YaRN (Peng et al. 2023), as transformers computes it; factor 1 means none.
  double yarn_factor = 1.0;
  int64_t yarn_original_positions = 0;
  double yarn_beta_fast = 32.0, yarn_beta_slow = 1.0;
  double attention_factor = 1.0;  // multiplies cos and sin
};

// cos and sin of every position, on the device. Immutable.
class RopeTable {
 public:
  virtual ~RopeTable() = default;
  virtual const RopeSpec& spec() const = 0;
};

class Ops;

// Upper bounds of one step; scratch memory is sized from them once.
struct OpsLimits {
  int64_t max_rows = 512;   // rows of a step
  int64_t max_columns = 0;  // widest K of any weight
  int64_t max_heads = 0;    // query heads
  int64_t max_head_dim = 0;
  int64_t max_context = 0;  // positions of one sequence
};

class Device {
 public:
  virtual ~Device() = default;
  // "cpu (avx2, 2 threads)": what will run, for people and fingerprints.
  virtual std::string description() const = 0;
  // Names the kernel table and numeric definitions: equal strings give equal bits.
  virtual std::string numerics_id() const = 0;

  // Zeroed, aligned to 64 bytes at least; kNoResources when it can't be had.
  virtual Result<Buffer> allocate(size_t bytes) = 0;

  // Packs matrices of equal columns, stacked along the rows, into one. `bias` has one value per
  // stacked row, or is empty. Decodes every dtype of tensor/quant.h; kUnsupported names others.
  // Threads of the device's pool take part.
  virtual Result<std::unique_ptr<Weight>> prepare(std::span<const WeightSource> parts,
                                                  std::span<const float> bias,
                                                  const Numerics& numerics) = 0;
  virtual Result<std::unique_ptr<RopeTable>> prepare_rope(const RopeSpec& spec) = 0;
  // Bytes of one page of one layer (keys and values of page_tokens tokens), a multiple of 64.
  virtual uint64_t kv_page_bytes(const KvLayout& layout) const = 0;

  // Operations with scratch memory for steps within `limits`. One user thread at a time each.
  virtual Result<std::unique_ptr<Ops>> make_ops(const OpsLimits& limits,
                                                const Numerics& numerics) = 0;
};

}  // namespace yunqi
