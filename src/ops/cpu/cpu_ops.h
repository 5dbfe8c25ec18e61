// Ops on the CPU. Scratch memory is made once from the limits; every operation is one or two
// regions of the pool. One user thread at a time.
#pragma once

#include <memory>

#include "base/result.h"
#include "ops/cpu/cpu_state.h"
#include "ops/ops.h"

namespace yunqi {

Result<std::unique_ptr<Ops>> make_cpu_ops(std::shared_ptr<CpuState> state, const OpsLimits& limits);

}  // namespace yunqi
