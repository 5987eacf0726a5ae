#include "core/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace mistral {
namespace {

std::optional<std::int64_t> read_number(const char* path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;  // missing, or the word "max"
}

// Cached files count towards a control group, but the system drops them when memory runs short.
std::int64_t cached_files(const char* stat_path, const std::string& prefix) {
  std::ifstream file(stat_path);
  std::int64_t sum = 0;
  std::string key;
  for (std::int64_t value = 0; file >> key >> value;) {
    if (key == prefix + "inactive_file" || key == prefix + "active_file") sum += value;
  }
  return sum;
}

struct ControlGroup {
  const char* limit;
  const char* usage;
  const char* stat;
  const char* stat_prefix;
};

std::optional<std::int64_t> control_group_rest(const ControlGroup& group) {
  const auto limit = read_number(group.limit);
  const auto usage = read_number(group.usage);
  if (!limit || !usage) return std::nullopt;
  const std::int64_t used =
      std::max<std::int64_t>(0, *usage - cached_files(group.stat, group.stat_prefix));
  return std::max<std::int64_t>(0, *limit - used);
}

}  // namespace

std::int64_t available_memory() {
  std::int64_t available = 0;
  std::ifstream meminfo("/proc/meminfo");
  for (std::string key; meminfo >> key;) {
    if (key == "MemAvailable:") {
      meminfo >> available;
      available *= 1024;
      break;
    }
    meminfo.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  for (const ControlGroup& group :
       {ControlGroup{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current",
                     "/sys/fs/cgroup/memory.stat", ""},
        ControlGroup{"/sys/fs/cgroup/memory/memory.limit_in_bytes",
                     "/sys/fs/cgroup/memory/memory.usage_in_bytes",
                     "/sys/fs/cgroup/memory/memory.stat", "total_"}}) {
    const auto rest = control_group_rest(group);
    if (rest) available = available == 0 ? *rest : std::min(available, *rest);
  }
  return available;
}

}  // namespace mistral
