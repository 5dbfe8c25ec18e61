// Device memory of the CPU: zeroed, cache-line aligned, committed by the system on first touch.
#pragma once

#include <cstddef>

#include "base/result.h"
#include "ops/device.h"

namespace yunqi {

Result<Buffer> allocate_host(size_t bytes);

}  // namespace yunqi
