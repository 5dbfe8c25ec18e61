// See memory.h.
#include "base/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/checked_math.h"

namespace yunqi {
namespace {

constexpr uint64_t kMaxProcFile = 1 << 20;

std::optional<uint64_t> parse_number(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc()) return std::nullopt;  // also "max", which means no limit
  return value;
}

std::optional<uint64_t> read_number(const Path& path) {
  const Result<std::string> text = read_file(path, kMaxProcFile);
  return text.is_ok() ? parse_number(*text) : std::nullopt;
}

// Limit minus use of a control group as seen from inside a container: its root.
std::optional<uint64_t> group_headroom(const Path& limit_file, const Path& usage_file) {
  const auto limit = read_number(limit_file);
  const auto usage = read_number(usage_file);
  if (!limit || !usage) return std::nullopt;
  return *limit > *usage ? *limit - *usage : 0;
}

}  // namespace

std::optional<uint64_t> parse_available_memory(std::string_view meminfo) {
  constexpr std::string_view kField = "MemAvailable:";
  const size_t at = meminfo.find(kField);
  if (at == std::string_view::npos) return std::nullopt;
  const auto kib = parse_number(meminfo.substr(at + kField.size()));
  return kib ? checked_mul<uint64_t>(*kib, 1024) : std::nullopt;
}

uint64_t available_memory_bytes() {
  uint64_t available = 0;
  const Result<std::string> meminfo = read_file("/proc/meminfo", kMaxProcFile);
  if (meminfo.is_ok()) available = parse_available_memory(*meminfo).value_or(0);
  if (available == 0) {  // not Linux: half of what is there is a careful guess
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page > 0) {
      available = static_cast<uint64_t>(pages) * static_cast<uint64_t>(page) / 2;
    }
  }
  const Path groups = "/sys/fs/cgroup";
  for (const auto& headroom : {group_headroom(groups / "memory.max", groups / "memory.current"),
                               group_headroom(groups / "memory/memory.limit_in_bytes",
                                              groups / "memory/memory.usage_in_bytes")}) {
    if (headroom) available = std::min(available, *headroom);
  }
  return available;
}

void* map_memory(size_t bytes) {
  constexpr size_t kHugePage = size_t{2} << 20;
  if (bytes == 0 || bytes > std::numeric_limits<size_t>::max() / 2) return nullptr;
  // One huge page more than asked, so that an aligned range lies inside; the rest goes back.
  const size_t size = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* const raw = mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(raw);
  const size_t skip = (kHugePage - reinterpret_cast<uintptr_t>(raw) % kHugePage) % kHugePage;
  std::byte* const data = begin + skip;
  if (skip > 0) munmap(begin, skip);
  if (skip < kHugePage) munmap(data + size, kHugePage - skip);
#ifdef MADV_HUGEPAGE
  // Advice only: without it small pages do the same work, slower.
  static_cast<void>(madvise(data, size, MADV_HUGEPAGE));
#endif
  return data;
}

void unmap_memory(void* data, size_t bytes) {
  constexpr size_t kHugePage = size_t{2} << 20;
  munmap(data, (bytes + kHugePage - 1) / kHugePage * kHugePage);
}

}  // namespace yunqi
