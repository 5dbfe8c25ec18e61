// See cores.h.
#include "base/cores.h"

#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <charconv>
#include <cmath>
#include <thread>

namespace yunqi {
namespace {

constexpr uint64_t kMaxCgroupFileBytes = uint64_t{1} << 16;

std::string read_text(const Path& path) {
  Result<std::string> text = read_file(path, kMaxCgroupFileBytes);
  return text.is_ok() ? *std::move(text) : std::string();
}

std::optional<double> parse_positive(std::string_view text) {
  int64_t value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec != std::errc() || value <= 0) return std::nullopt;  // "max" and -1 mean no quota
  return static_cast<double>(value);
}

// Version 2: "200000 100000" or "max 100000" in cpu.max.
std::optional<double> quota_v2(const Path& folder) {
  const std::string text = read_text(folder / "cpu.max");
  const size_t space = text.find(' ');
  if (space == std::string::npos) return std::nullopt;
  const auto quota = parse_positive(std::string_view(text).substr(0, space));
  const auto period = parse_positive(std::string_view(text).substr(space + 1));
  return quota && period ? std::optional(*quota / *period) : std::nullopt;
}

std::optional<double> quota_v1(const Path& folder) {
  const auto quota = parse_positive(read_text(folder / "cpu.cfs_quota_us"));
  const auto period = parse_positive(read_text(folder / "cpu.cfs_period_us"));
  return quota && period ? std::optional(*quota / *period) : std::nullopt;
}

bool lists_controller(std::string_view controllers, std::string_view wanted) {
  while (!controllers.empty()) {
    const size_t comma = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, comma) == wanted) return true;
    controllers.remove_prefix(std::min(comma + 1, controllers.size()));
  }
  return false;
}

std::optional<double> smaller(std::optional<double> a, std::optional<double> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

// Any ancestor may hold the tighter quota. In a container the listed path may lie outside the
// mounted tree; the mount's root is then the container's own group, and the walk ends there.
template <typename Quota>
std::optional<double> smallest_quota(const Path& mount, std::string_view group, Quota&& quota_of) {
  std::optional<double> out = quota_of(mount);
  Path folder = mount;
  for (const Path& part : Path(group).relative_path()) {
    if (part == "..") break;
    folder /= part;
    out = smaller(out, quota_of(folder));
  }
  return out;
}

int affinity_cores() {
#if defined(__linux__)
  // The kernel refuses masks smaller than its own, so grow until it agrees.
  for (int cpus = 1024; cpus <= (1 << 20); cpus *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> mask(
        CPU_ALLOC(static_cast<size_t>(cpus)), [](cpu_set_t* set) { CPU_FREE(set); });
    if (!mask) break;
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(cpus));
    if (::sched_getaffinity(0, bytes, mask.get()) == 0) return CPU_COUNT_S(bytes, mask.get());
  }
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

std::optional<double> cgroup_cpu_quota(const Path& membership, const Path& root) {
  // Lines are "hierarchy:controllers:path"; version 2's is "0::path".
  const std::string text = read_text(membership);
  std::string_view rest = text;
  std::optional<double> out;
  while (!rest.empty()) {
    const size_t newline = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, newline);
    rest.remove_prefix(std::min(newline + 1, rest.size()));
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string_view group = line.substr(second + 1);
    if (controllers.empty()) {
      out = smaller(out, smallest_quota(root, group, quota_v2));
    } else if (lists_controller(controllers, "cpu")) {
      out = smaller(out, smallest_quota(root / "cpu", group, quota_v1));
    }
  }
  return out;
}

int available_cores() {
  int cores = std::max(1, affinity_cores());
  if (const auto quota = cgroup_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup")) {
    const double whole = std::max(1.0, std::ceil(*quota));
    if (whole < cores) cores = static_cast<int>(whole);
  }
  return cores;
}

}  // namespace yunqi
