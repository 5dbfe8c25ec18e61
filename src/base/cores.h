// How much CPU this process may use: the affinity mask, and the CPU quota of its control group
// (Linux cgroups v1 and v2). Pure look-ups, called at start-up.
#pragma once

#include <optional>

#include "base/file.h"

namespace yunqi {

// The smallest CPU quota, in cores, over this process's control group and its ancestors; nullopt
// when there is none. `membership` is /proc/self/cgroup, `root` is /sys/fs/cgroup; tests pass a
// made-up tree.
std::optional<double> cgroup_cpu_quota(const Path& membership, const Path& root);

// Cores this process may use: affinity mask and quota (rounded up) considered, >= 1.
int available_cores();

}  // namespace yunqi
