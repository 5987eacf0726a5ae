// What the system has left, read from files of /proc and /sys that the tests write.
#include "core/memory.h"

#include <gtest/gtest.h>

#include "temporary_folder.h"

namespace mistral::test {
namespace {

constexpr const char* kUnlimited = "9223372036854771712\n";

class MemoryTest : public testing::Test {
 protected:
  void SetUp() override { write("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n"); }
  void write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((folder_.path() / name).parent_path());
    (void)folder_.write(name, content);
  }
  // Limit and usage of a group of version 2.
  void group(const std::string& name, const std::string& limit, const std::string& usage) const {
    write("sys/fs/cgroup/" + name + "memory.max", limit + "\n");
    write("sys/fs/cgroup/" + name + "memory.current", usage + "\n");
  }
  [[nodiscard]] std::int64_t available() const { return available_memory(folder_.path()); }
  [[nodiscard]] std::int64_t total() const { return total_memory(folder_.path()); }

 private:
  TemporaryFolder folder_;
};

TEST_F(MemoryTest, OfTheSystem) {
  EXPECT_EQ(available(), 8000 * 1024);
  EXPECT_EQ(total(), 9000 * 1024);
  EXPECT_GT(available_memory(), 0);
}

TEST_F(MemoryTest, NothingKnown) {
  const TemporaryFolder empty;
  EXPECT_EQ(available_memory(empty.path()), 0);
  EXPECT_EQ(total_memory(empty.path()), 0);
}

TEST_F(MemoryTest, LimitOfTheGroup) {
  write("proc/self/cgroup", "0::/user/job\n");
  group("user/job/", "5000000", "1000000");
  EXPECT_EQ(available(), 4'000'000);
  EXPECT_EQ(total(), 5'000'000);
  group("user/job/", "max", "1000000");
  EXPECT_EQ(available(), 8000 * 1024);
}

TEST_F(MemoryTest, TheTightestOfTheGroupsAround) {
  write("proc/self/cgroup", "0::/user/job/\n");
  group("user/job/", "5000000", "1000000");
  group("user/", "3000000", "2000000");
  EXPECT_EQ(available(), 1'000'000);
}

// A container sees its own group as the base, whatever the path says.
TEST_F(MemoryTest, TheBaseOfAContainer) {
  for (const char* path : {"0::/docker/abc\n", "0::/\n", "0::/../../other\n"}) {
    write("proc/self/cgroup", path);
    group("", "6000000", "500000");
    EXPECT_EQ(available(), 5'500'000) << path;
  }
}

TEST_F(MemoryTest, CachedFilesAreNotUsed) {
  write("proc/self/cgroup", "0::/\n");
  group("", "6000000", "5000000");
  write("sys/fs/cgroup/memory.stat",
        "anon 1\nactive_file 1000000\ninactive_file 2000000\nsock 7\n");
  EXPECT_EQ(available(), 4'000'000);
}

TEST_F(MemoryTest, AGroupBeyondItsLimit) {
  write("proc/self/cgroup", "0::/\n");
  group("", "1000", "5000");
  EXPECT_EQ(available(), 0);
}

TEST_F(MemoryTest, FirstVersionOfGroups) {
  write("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/job\n0::/\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", kUnlimited);
  write("sys/fs/cgroup/memory/memory.usage_in_bytes", "7\n");
  EXPECT_EQ(available(), 8000 * 1024);
  write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "5000000\n");
  write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "3000000\n");
  write("sys/fs/cgroup/memory/job/memory.stat", "inactive_file 1\ntotal_inactive_file 500000\n");
  EXPECT_EQ(available(), 2'500'000);
}

TEST_F(MemoryTest, LinesThatAreNoGroups) {
  write("proc/self/cgroup", "\nnonsense\n1:memory\n::\n");
  EXPECT_EQ(available(), 8000 * 1024);
}

}  // namespace
}  // namespace mistral::test
