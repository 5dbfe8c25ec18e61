// See dispatch.h. __builtin_cpu_supports also asks whether the system saves the registers.
#include "ops/cpu/dispatch.h"

#include <cstdlib>
#include <string>

#include "ops/cpu/cpu_device.h"

namespace yunqi {

std::vector<const Kernels*> available_kernels() {
  std::vector<const Kernels*> tables;
#if defined(__x86_64__)
  __builtin_cpu_init();
#if defined(YUNQI_KERNELS_AVX512)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("f16c")) {
    tables.push_back(kernels_avx512());
  }
#endif
#if defined(YUNQI_KERNELS_AVXVNNI)
  if (__builtin_cpu_supports("avxvnni") && __builtin_cpu_supports("avx2") &&
      __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
    tables.push_back(kernels_avxvnni());
  }
#endif
#if defined(YUNQI_KERNELS_AVX2)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c")) {
    tables.push_back(kernels_avx2());
  }
#endif
#endif
  tables.push_back(kernels_generic());
  return tables;
}

Result<const Kernels*> select_kernels(std::string_view isa) {
  const char* from_environment = std::getenv("YUNQI_CPU");
  if (isa.empty() && from_environment != nullptr) isa = from_environment;
  const std::vector<const Kernels*> tables = available_kernels();
  if (isa.empty()) return tables.front();
  std::string names;
  for (const Kernels* table : tables) {
    if (table->name == isa) return table;
    names += names.empty() ? "" : ", ";
    names += table->name;
  }
  return error(Code::kUnsupported, "no CPU kernels named \"{}\" here; YUNQI_CPU can be: {}", isa,
               names);
}

std::vector<std::string_view> cpu_isa_levels() {
  std::vector<std::string_view> names;
  for (const Kernels* table : available_kernels()) names.emplace_back(table->name);
  return names;
}

}  // namespace yunqi
