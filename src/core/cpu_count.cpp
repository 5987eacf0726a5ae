#include "core/cpu_count.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include <sched.h>

namespace mistral {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int quota_cpus(double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return 0;
  // Rounded down: threads that meet at barriers lose more by being throttled than by a missing
  // fraction of a core.
  return std::max(1, static_cast<int>(std::min(quota / period, 1e6)));
}

int quota_v2(const fs::path& group) {
  std::istringstream line(first_line(group / "cpu.max"));
  std::string quota;
  double period = 0;
  if (!(line >> quota >> period) || quota == "max") return 0;
  return quota_cpus(std::strtod(quota.c_str(), nullptr), period);
}

int quota_v1(const fs::path& group) {
  const std::string quota = first_line(group / "cpu.cfs_quota_us");
  const std::string period = first_line(group / "cpu.cfs_period_us");
  return quota_cpus(std::strtod(quota.c_str(), nullptr), std::strtod(period.c_str(), nullptr));
}

// The tightest limit from `group` up to the mount point. Inside a container the group's path may
// name folders that are not mounted here; those have no files and so no limit.
template <typename Quota>
int tightest(const fs::path& mount, const fs::path& group, Quota quota) {
  int limit = 0;
  fs::path relative = group.relative_path().lexically_normal();
  // "/../x" and the like: a group outside of what is visible here.
  if (relative == "." || (!relative.empty() && *relative.begin() == "..")) relative.clear();
  for (;;) {
    const int here = quota(relative.empty() ? mount : mount / relative);
    if (here > 0) limit = limit == 0 ? here : std::min(limit, here);
    if (relative.empty()) return limit;
    relative = relative.parent_path();
  }
}

}  // namespace

std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
  // The kernel refuses sets smaller than its own; machines may have more cpus than CPU_SETSIZE.
  for (int capacity = CPU_SETSIZE; capacity <= (1 << 20); capacity *= 2) {
    std::vector<cpu_set_t> sets(static_cast<std::size_t>(capacity / CPU_SETSIZE));
    const std::size_t bytes = sets.size() * sizeof(cpu_set_t);
    if (sched_getaffinity(0, bytes, sets.data()) == 0) {
      for (int cpu = 0; cpu < capacity; ++cpu) {
        if (CPU_ISSET_S(static_cast<std::size_t>(cpu), bytes, sets.data())) cpus.push_back(cpu);
      }
      break;
    }
    if (errno != EINVAL) break;
  }
  if (cpus.empty()) {
    const int count = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    for (int cpu = 0; cpu < count; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

int physical_cores(const std::vector<int>& cpus, const fs::path& root) {
  std::set<std::string> cores;
  for (const int cpu : cpus) {
    const fs::path topology =
        root / "sys/devices/system/cpu" / ("cpu" + std::to_string(cpu)) / "topology";
    std::string siblings = first_line(topology / "core_cpus_list");
    if (siblings.empty()) siblings = first_line(topology / "thread_siblings_list");
    if (siblings.empty()) siblings = std::to_string(cpu);
    cores.insert(std::move(siblings));
  }
  return std::max(1, static_cast<int>(cores.size()));
}

int cgroup_cpu_limit(const fs::path& root) {
  int limit = 0;
  const auto narrow = [&limit](int found) {
    if (found > 0) limit = limit == 0 ? found : std::min(limit, found);
  };
  const fs::path mount = root / "sys/fs/cgroup";
  std::ifstream groups(root / "proc/self/cgroup");
  // Lines read "hierarchy:controllers:path"; hierarchy 0 without controllers is v2.
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const fs::path group = line.substr(second + 1);
    if (controllers.empty()) {
      narrow(tightest(mount, group, quota_v2));
      narrow(tightest(mount / "unified", group, quota_v2));
      continue;
    }
    std::istringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');) {
      if (name != "cpu") continue;
      narrow(tightest(mount / "cpu", group, quota_v1));
      narrow(tightest(mount / controllers, group, quota_v1));
    }
  }
  return limit;
}

}  // namespace mistral
