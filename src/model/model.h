// A loaded model: weights on a device and the forward pass. Each architecture is one file
// (qwen2.cc, qwen3.cc) and one line in registry.cc; shared parts are functions in blocks.h.
// Weights are immutable after load; forward() uses the model's own workspace: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "ops/device.h"
#include "ops/ops.h"

namespace yunqi {

struct ModelInfo {
  std::string architecture;  // "Qwen2ForCausalLM"
  int32_t layers = 0;
  int32_t hidden = 0;
  int32_t vocab_rows = 0;  // rows of the output matrix, padding included
  int32_t query_heads = 0;
  int32_t head_dim = 0;
  int64_t widest_input = 0;  // most columns of any weight matrix
  int64_t max_context = 0;   // positions the checkpoint (or the load options) allow
  uint64_t parameters = 0;
  uint64_t weight_bytes = 0;            // prepared, resident
  uint64_t weight_bytes_per_token = 0;  // read by one decode step
};

// Per-layer state that a sequence needs; the engine owns its lifetime, the model its meaning.
struct PagedKv {
  int32_t kv_heads = 0;
  int32_t head_dim = 0;
};
struct Recurrent {
  uint64_t bytes = 0;
};
using LayerState = std::variant<PagedKv, Recurrent>;

// One step: a ragged batch of rows, grouped in runs of one sequence each.
struct StepBatch {
  std::span<const int32_t> tokens;      // [rows]
  std::span<const Position> positions;  // [rows]
  std::span<const SequenceRun> runs;    // cover the rows in order
  std::span<const int32_t> logit_rows;  // ascending; logits are made for these only
};

// The state buffers of a step: one KvLayer per layer that declared PagedKv, in layer order.
struct StepState {
  std::span<const KvLayer> kv;
};

struct LoadOptions {
  Numerics numerics;
  int64_t max_context = 0;  // 0: the checkpoint's own
  int64_t max_rows = 512;   // rows of a step
};

class Model {
 public:
  virtual ~Model() = default;
  virtual const ModelInfo& info() const = 0;
  virtual std::span<const LayerState> state_spec() const = 0;
  // Runs one step and leaves logits [logit_rows, vocab_rows] in `logits`.
  virtual void forward(Ops& ops, const StepBatch& batch, const StepState& state,
                       Matrix<float> logits) = 0;
};

// Reads the config, binds and verifies every tensor (all problems in one error), prepares weights.
// kUnsupported names the architecture and what is supported.
Result<std::unique_ptr<Model>> load_model(const Checkpoint& checkpoint, Device& device,
                                          const LoadOptions& options);

// Bounds for Device::make_ops.
OpsLimits ops_limits(const Model& model, const LoadOptions& options);

// The architectures of registry.cc, for messages and `yunqi list`.
std::vector<std::string_view> supported_architectures();

// Bytes a checkpoint will take on the device, before anything is allocated.
Result<uint64_t> estimate_weight_bytes(const Checkpoint& checkpoint);

}  // namespace yunqi
