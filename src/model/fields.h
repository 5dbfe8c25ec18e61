// Weights as one list of fields per architecture. The same list is walked to verify a checkpoint
// (every problem in one error), to prepare weights on a device, to count bytes, and to make
// synthetic checkpoints. Names are Hugging Face's; file formats are unknown here.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "ops/device.h"

namespace yunqi {

// A norm's weight: float32 in device memory.
struct VectorWeight {
  Buffer storage;
  std::span<const float> values;
};

// A matrix (or several stacked along their outputs) in the device's layout.
using MatrixWeight = std::unique_ptr<Weight>;

// How tensor parallelism will cut a matrix: whole on each device, by outputs (of each part), or
// by inputs (the products are then summed over the devices).
enum class Shard { kNone, kOutputs, kInputs };

// One part of a stacked matrix: "self_attn.q_proj" has the tensor "self_attn.q_proj.weight",
// [rows, columns], and with a bias "self_attn.q_proj.bias", [rows].
struct MatrixPart {
  std::string_view name;
  int64_t rows = 0;
};
struct MatrixShape {
  int64_t columns = 0;
  bool bias = false;
  Shard shard = Shard::kNone;
};

class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;
  virtual void vector(std::string_view name, int64_t size, VectorWeight& out) = 0;
  virtual void matrix(std::initializer_list<MatrixPart> parts, const MatrixShape& shape,
                      MatrixWeight& out) = 0;

  // Names that follow are inside "model.layers.3."; "" ends it.
  void set_scope(std::string scope) { scope_ = std::move(scope); }

 protected:
  std::string full_name(std::string_view name) const { return scope_ + std::string(name); }

 private:
  std::string scope_;
};

// Counts and verifies: each tensor is there, has the shape and a type that decodes to floats, and
// no tensor of the checkpoint is left unused.
class FieldChecker final : public FieldVisitor {
 public:
  explicit FieldChecker(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}
  void vector(std::string_view name, int64_t size, VectorWeight& out) override;
  void matrix(std::initializer_list<MatrixPart> parts, const MatrixShape& shape,
              MatrixWeight& out) override;

  // OK, or every problem in one line (kBadFile). Call after the walk.
  Status finish();
  uint64_t parameters() const { return parameters_; }
  // About what the weights take once prepared.
  uint64_t bytes() const { return bytes_; }

 private:
  void check(std::string name, std::initializer_list<int64_t> shape);
  void add_unused();

  const Checkpoint& checkpoint_;
  std::vector<std::string> used_, problems_;
  uint64_t parameters_ = 0, bytes_ = 0;
};

// Prepares each field; the checkpoint has passed a FieldChecker with the same list.
class FieldLoader final : public FieldVisitor {
 public:
  FieldLoader(const Checkpoint& checkpoint, Device& device, const Numerics& numerics)
      : checkpoint_(checkpoint), device_(device), numerics_(numerics) {}
  void vector(std::string_view name, int64_t size, VectorWeight& out) override;
  void matrix(std::initializer_list<MatrixPart> parts, const MatrixShape& shape,
              MatrixWeight& out) override;

  const Status& status() const { return status_; }
  uint64_t bytes() const { return bytes_; }

 private:
  Status load_vector(const std::string& name, VectorWeight& out);
  Status load_matrix(std::initializer_list<MatrixPart> parts, const MatrixShape& shape,
                     MatrixWeight& out);

  const Checkpoint& checkpoint_;
  Device& device_;
  const Numerics numerics_;
  Status status_;
  uint64_t bytes_ = 0;
};

// Collects names and shapes, without a checkpoint.
class FieldLister final : public FieldVisitor {
 public:
  struct Field {
    std::string name;
    std::vector<int64_t> shape;
  };
  void vector(std::string_view name, int64_t size, VectorWeight& out) override;
  void matrix(std::initializer_list<MatrixPart> parts, const MatrixShape& shape,
              MatrixWeight& out) override;

  const std::vector<Field>& fields() const { return fields_; }

 private:
  std::vector<Field> fields_;
};

}  // namespace yunqi
