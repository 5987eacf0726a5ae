#include "core/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace mistral {
namespace {

namespace fs = std::filesystem;

std::optional<std::int64_t> read_number(const fs::path& path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;  // missing, or the word "max"
}

// Cached files count towards a control group, but the system drops them when memory runs short.
std::int64_t cached_files(const fs::path& path, const std::string& prefix) {
  std::ifstream file(path);
  std::int64_t sum = 0;
  std::string key;
  for (std::int64_t value = 0; file >> key >> value;) {
    if (key == prefix + "inactive_file" || key == prefix + "active_file") sum += value;
  }
  return sum;
}

// A hierarchy of control groups: where it lies, and how its files are named.
struct Hierarchy {
  fs::path base;
  fs::path group;  // of this process, below base
  const char* limit;
  const char* usage;
  const char* stat_prefix;
};

// Those of this process that limit memory: of version 2, of version 1, or both.
std::vector<Hierarchy> hierarchies(const fs::path& root) {
  std::vector<Hierarchy> found;
  std::ifstream file(root / "proc/self/cgroup");
  // Lines "ID:CONTROLLERS:/PATH"; version 2 has the ID 0 and no controllers.
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const fs::path group = fs::path(line.substr(second + 1)).lexically_normal().relative_path();
    if (controllers == ",,") {
      found.push_back({root / "sys/fs/cgroup", group, "memory.max", "memory.current", ""});
    } else if (controllers.find(",memory,") != std::string::npos) {
      found.push_back({root / "sys/fs/cgroup/memory", group, "memory.limit_in_bytes",
                       "memory.usage_in_bytes", "total_"});
    }
  }
  return found;
}

}  // namespace

std::int64_t available_memory(const fs::path& root) {
  std::int64_t available = 0;
  std::ifstream meminfo(root / "proc/meminfo");
  for (std::string key; meminfo >> key;) {
    if (key == "MemAvailable:") {
      meminfo >> available;
      available *= 1024;
      break;
    }
    meminfo.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  for (const Hierarchy& hierarchy : hierarchies(root)) {
    // In a container the path may be one of the host, of which only the base can be seen.
    for (fs::path group = hierarchy.group;; group = group.parent_path()) {
      const fs::path folder = hierarchy.base / group;
      const auto limit = read_number(folder / hierarchy.limit);
      const auto usage = read_number(folder / hierarchy.usage);
      if (limit && usage) {
        const std::int64_t used = std::max<std::int64_t>(
            0, *usage - cached_files(folder / "memory.stat", hierarchy.stat_prefix));
        const std::int64_t rest = std::max<std::int64_t>(0, *limit - used);
        available = available == 0 ? rest : std::min(available, rest);
      }
      if (group.empty()) break;
    }
  }
  return available;
}

}  // namespace mistral
