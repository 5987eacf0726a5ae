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

std::optional<std::int64_t> control_group_rest(const char* limit_path, const char* usage_path) {
  const auto limit = read_number(limit_path);
  const auto usage = read_number(usage_path);
  if (!limit || !usage) return std::nullopt;
  return std::max<std::int64_t>(0, *limit - *usage);
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
  for (const auto rest :
       {control_group_rest("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        control_group_rest("/sys/fs/cgroup/memory/memory.limit_in_bytes",
                           "/sys/fs/cgroup/memory/memory.usage_in_bytes")}) {
    if (rest) available = available == 0 ? *rest : std::min(available, *rest);
  }
  return available;
}

}  // namespace mistral
