// Times every operation of a device: a Device that hands all work on to another and adds up what
// its operations took. Nothing is timed unless a program wraps its device, so it costs nothing
// when off. The counters belong to the thread that runs the operations.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "ops/device.h"
#include "ops/ops.h"

namespace yunqi {

// What an operation is for, told from its neighbours: norm_linear makes q, k and v when attention
// comes next, else logits; linear_add follows attention or the gated pair.
enum class OpKind { kEmbed, kQkv, kAttention, kAttentionOut, kGateUp, kDown, kHead, kOther };
inline constexpr size_t kOpKinds = 8;
const char* op_kind_name(OpKind kind);

struct OpCounter {
  int64_t calls = 0;
  int64_t ns = 0;
  double operations = 0;  // multiplications and additions of its matrix products
  double bytes = 0;       // of weights, or of the keys and values read
};

struct OpProfile {
  std::array<OpCounter, kOpKinds> counters{};

  OpCounter& operator[](OpKind kind) { return counters[static_cast<size_t>(kind)]; }
  const OpCounter& operator[](OpKind kind) const { return counters[static_cast<size_t>(kind)]; }
};

// Where the times of the next operations go; null drops them. Outlives the device.
struct ProfileTarget {
  OpProfile* profile = nullptr;
};

// `inner` and `target` are borrowed and outlive the result.
std::unique_ptr<Device> make_profiled_device(Device& inner, const ProfileTarget& target);

}  // namespace yunqi
