#include "core/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
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

// A number of /proc/meminfo, in bytes; 0 when it is not there.
std::int64_t system_memory(const fs::path& root, std::string_view wanted) {
  std::ifstream meminfo(root / "proc/meminfo");
  for (std::string key; meminfo >> key;) {
    if (key == wanted) {
      std::int64_t kibibytes = 0;
      meminfo >> kibibytes;
      return kibibytes * 1024;
    }
    meminfo.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

// f(limit, memory in use) for each control group of this process that limits memory, from the
// inside out.
template <typename Function>
void each_limit(const fs::path& root, Function f) {
  for (const Hierarchy& hierarchy : hierarchies(root)) {
    // In a container the path may be one of the host, of which only the base can be seen.
    for (fs::path group = hierarchy.group;; group = group.parent_path()) {
      const fs::path folder = hierarchy.base / group;
      const auto limit = read_number(folder / hierarchy.limit);
      const auto usage = read_number(folder / hierarchy.usage);
      if (limit && usage) {
        f(*limit, std::max<std::int64_t>(
                      0, *usage - cached_files(folder / "memory.stat", hierarchy.stat_prefix)));
      }
      if (group.empty()) break;
    }
  }
}

// The smaller one of what is known.
std::int64_t least(std::int64_t known, std::int64_t other) {
  return known == 0 ? other : std::min(known, other);
}

}  // namespace

std::int64_t available_memory(const fs::path& root) {
  std::int64_t available = system_memory(root, "MemAvailable:");
  each_limit(root, [&](std::int64_t limit, std::int64_t used) {
    available = least(available, std::max<std::int64_t>(0, limit - used));
  });
  return available;
}

std::int64_t total_memory(const fs::path& root) {
  std::int64_t total = system_memory(root, "MemTotal:");
  each_limit(root, [&](std::int64_t limit, std::int64_t) { total = least(total, limit); });
  return total;
}

}  // namespace mistral
