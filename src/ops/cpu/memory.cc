// See memory.h. Large blocks come from the system in huge pages, small ones from the heap.
#include "ops/cpu/memory.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/memory.h"

namespace yunqi {
namespace {

constexpr size_t kAlignment = 64;
// Room to align, and for the pointer that calloc gave, which sits just before the data.
constexpr size_t kSlack = kAlignment + sizeof(void*);
// From here on a block is worth whole huge pages.
constexpr size_t kLarge = size_t{1} << 20;

void free_host(void* data, size_t) {
  void* raw = nullptr;
  std::memcpy(&raw, static_cast<std::byte*>(data) - sizeof(raw), sizeof(raw));
  std::free(raw);
}

}  // namespace

Result<Buffer> allocate_host(size_t bytes) {
  if (bytes == 0) return Buffer();
  void* const raw = bytes >= kLarge ? map_memory(bytes) : std::calloc(bytes + kSlack, 1);
  if (raw == nullptr) {
    return error(Code::kNoResources, "no memory for {} bytes; free some or use a smaller model",
                 bytes);
  }
  if (bytes >= kLarge) return Buffer(raw, bytes, unmap_memory);
  const auto address = reinterpret_cast<uintptr_t>(raw) + sizeof(void*);
  const size_t skip = (kAlignment - address % kAlignment) % kAlignment + sizeof(void*);
  std::byte* data = static_cast<std::byte*>(raw) + skip;
  std::memcpy(data - sizeof(raw), &raw, sizeof(raw));
  return Buffer(data, bytes, free_host);
}

}  // namespace yunqi
