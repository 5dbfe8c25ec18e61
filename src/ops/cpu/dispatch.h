// Which kernel table runs: the best that compiler, processor and operating system allow, or the
// one asked for.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "ops/cpu/kernels.h"

namespace yunqi {

// Tables this machine can run, best first; ends with "generic".
std::vector<const Kernels*> available_kernels();

// `isa` empty: $YUNQI_CPU if set, else the best. kUnsupported names what there is.
Result<const Kernels*> select_kernels(std::string_view isa);

}  // namespace yunqi
