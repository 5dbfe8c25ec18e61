// How much memory this process may still take, and large blocks of it straight from the system.
// Any thread.
#pragma once

#include <cstddef>
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

// `bytes` of zeroed memory (more than 0), aligned to a huge page and in huge pages where the system
// has them: fewer faults and address look-ups for weights and KV. Committed on first touch. Null
// when there is none. Give it back with the same size.
void* map_memory(size_t bytes);
void unmap_memory(void* data, size_t bytes);

}  // namespace yunqi
