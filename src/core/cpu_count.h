// How many cores this process may keep busy.
#pragma once

#include <filesystem>
#include <vector>

namespace mistral {

// Cpu numbers in this process's affinity mask; never empty.
[[nodiscard]] std::vector<int> allowed_cpus();

// Distinct physical cores among `cpus`, by <root>/sys/devices/system/cpu; a cpu whose siblings
// cannot be read counts as a core.
[[nodiscard]] int physical_cores(const std::vector<int>& cpus, const std::filesystem::path& root);

// Whole cpus granted by the tightest cgroup (v2 or v1) quota between this process's group and the
// top; 0: no limit. Reads <root>/proc/self/cgroup and <root>/sys/fs/cgroup.
[[nodiscard]] int cgroup_cpu_limit(const std::filesystem::path& root);

}  // namespace mistral
