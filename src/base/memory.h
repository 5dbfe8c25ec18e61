// How much memory this process may still take. Pure look-up; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/file.h"

namespace yunqi {

// What the machine can give without swapping, and what this process's control group still allows,
// whichever is less; 0 when the machine does not say.
uint64_t available_memory_bytes();

// MemAvailable of a file like /proc/meminfo, in bytes; nullopt when it has none.
std::optional<uint64_t> parse_available_memory(std::string_view meminfo);

}  // namespace yunqi
