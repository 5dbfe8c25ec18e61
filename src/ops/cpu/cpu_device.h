// The CPU behind Device: kernel tables per ISA level, packed weights, one thread pool.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ops/device.h"

namespace yunqi {

struct CpuOptions {
  int threads = 0;  // 0: every core this process may use
  // Forces a kernel table: "generic", "avx2", "avx512" ... ; "" takes $YUNQI_CPU, else the best
  // that this machine runs. kUnsupported names what it has.
  std::string isa;
};

Result<std::unique_ptr<Device>> make_cpu_device(const CpuOptions& options = {});

// The tables this machine can run, best first; always ends with "generic".
std::vector<std::string_view> cpu_isa_levels();

}  // namespace yunqi
