#include "core/thread_pool.h"

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "core/cpu_count.h"
#include "core/error.h"

namespace mistral {
namespace {

namespace fs = std::filesystem;

class ThreadPoolSizes : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolSizes, CoversEveryItemOnceInMultiplesOfTheGrain) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.size(), GetParam());
  for (const std::int64_t count : {0, 1, 2, 3, 7, 31, 32, 33, 1000}) {
    for (const std::int64_t grain : {-1, 0, 1, 2, 32, 999, 5000}) {
      std::vector<int> visits(static_cast<std::size_t>(count), 0);
      std::atomic<bool> piece_ok{true};
      pool.run(count, grain, [&](std::int64_t begin, std::int64_t end, int worker) {
        const std::int64_t unit = std::max<std::int64_t>(grain, 1);
        const bool ok = begin < end && begin % unit == 0 && (end % unit == 0 || end == count) &&
                        worker >= 0 && worker < pool.size();
        if (!ok) piece_ok = false;
        for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
      });
      EXPECT_TRUE(piece_ok);
      EXPECT_EQ(visits, std::vector<int>(static_cast<std::size_t>(count), 1))
          << count << " items, grain " << grain;
    }
  }
}

// Plain (not atomic) data passes from the caller to the workers and back, run after run.
TEST_P(ThreadPoolSizes, ManyShortRunsSeeEachOthersWrites) {
  ThreadPool pool(GetParam());
  std::vector<std::int64_t> values(64, 0);
  for (std::int64_t round = 1; round <= 3000; ++round) {
    pool.run(64, 4, [&](std::int64_t begin, std::int64_t end, int) {
      // Reads a value that another worker wrote in the run before.
      for (std::int64_t i = begin; i < end; ++i) values[static_cast<std::size_t>(i)] += i + round;
    });
    std::rotate(values.begin(), values.begin() + 1, values.end());
  }
  // Every cell of the ring got one addition per round; the sum over all is fixed.
  const std::int64_t expected = 3000 * (63 * 64 / 2) + 64 * (3000 * std::int64_t{3001} / 2);
  EXPECT_EQ(std::accumulate(values.begin(), values.end(), std::int64_t{0}), expected);
}

TEST_P(ThreadPoolSizes, WakesAfterSleep) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::microseconds(round % 2 == 0 ? 500 : 30));
    std::atomic<int> sum{0};
    pool.run(10, 1, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t i = begin; i < end; ++i) sum += static_cast<int>(i);
      if (end == 10) std::this_thread::sleep_for(std::chrono::microseconds(200));
    });
    EXPECT_EQ(sum, 45);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, ThreadPoolSizes, testing::Values(1, 2, 3, 8, 17));

TEST(ThreadPool, RunsPiecesOnSeveralThreads) {
  ThreadPool pool(2);
  // Two pieces that wait for each other finish only when two threads take one each.
  std::atomic<int> arrived{0};
  std::array<int, 2> workers{-1, -1};
  pool.run(2, 1, [&](std::int64_t begin, std::int64_t, int worker) {
    workers[static_cast<std::size_t>(begin)] = worker;
    ++arrived;
    while (arrived < 2) std::this_thread::yield();
  });
  EXPECT_NE(workers[0], workers[1]);
}

// A worker that is kept from its share leaves it to the others: all but the piece that it holds.
TEST(ThreadPool, IdleWorkersTakeWhatOthersHaveLeft) {
  constexpr std::int64_t kItems = 64;
  ThreadPool pool(2);
  std::atomic<std::int64_t> done{0};
  std::atomic<bool> held{false};
  std::atomic<bool> in_time{true};
  pool.run(kItems, 1, [&](std::int64_t begin, std::int64_t end, int) {
    if (!held.exchange(true)) {
      const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (done < kItems - (end - begin) && in_time) {
        in_time = std::chrono::steady_clock::now() < deadline;
        std::this_thread::yield();
      }
    }
    done += end - begin;
  });
  EXPECT_TRUE(in_time);
  EXPECT_EQ(done, kItems);
}

TEST(ThreadPool, CountsMoreItemsThanPieces) {
  constexpr std::int64_t kItems = (std::int64_t{1} << 33) + 1;
  ThreadPool pool(3);
  std::atomic<std::int64_t> items{0};
  std::atomic<std::int64_t> last{0};
  pool.run(kItems, 2, [&](std::int64_t begin, std::int64_t end, int) {
    items += end - begin;
    if (end == kItems) last = end;
  });
  EXPECT_EQ(items, kItems);
  EXPECT_EQ(last, kItems);
}

TEST(ThreadPool, MayBeUsedByAnotherThreadAfterwards) {
  ThreadPool pool(3);
  int total = 0;
  for (int round = 0; round < 8; ++round) {
    std::thread([&] {
      std::atomic<int> items{0};
      pool.run(100, 3,
               [&](std::int64_t b, std::int64_t e, int) { items += static_cast<int>(e - b); });
      total += items;
    }).join();
  }
  EXPECT_EQ(total, 800);
}

TEST(ThreadPool, RefusesImpossibleSizes) {
  EXPECT_THROW(ThreadPool(0), Error);
  EXPECT_THROW(ThreadPool(-3), Error);
  EXPECT_THROW(ThreadPool(1 << 30), Error);
}

TEST(ThreadPool, IdleWorkersUseNoCpu) {
  ThreadPool pool(2);
  pool.run(10, 1, [](std::int64_t, std::int64_t, int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // beyond the spin
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const double used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  EXPECT_LT(used, 0.1);  // a spinning worker would have used 0.2 s
}

// A folder that stands for / with the few files that are read.
class FakeRoot : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(testing::TempDir()) / ("cpu_count_" + std::to_string(::getpid()));
    fs::remove_all(root_);
  }
  void TearDown() override { fs::remove_all(root_); }
  void write(const fs::path& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  fs::path root_;
};

TEST_F(FakeRoot, HyperthreadsShareACore) {
  for (int cpu = 0; cpu < 8; ++cpu) {
    write("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/" +
              (cpu < 4 ? "core_cpus_list" : "thread_siblings_list"),
          std::to_string(cpu / 2 * 2) + "-" + std::to_string(cpu / 2 * 2 + 1) + "\n");
  }
  EXPECT_EQ(physical_cores({0, 1, 2, 3, 4, 5, 6, 7}, root_), 4);
  EXPECT_EQ(physical_cores({0, 2, 3}, root_), 2);
  EXPECT_EQ(physical_cores({40, 41}, root_), 2);  // unknown: every cpu is a core
}

TEST_F(FakeRoot, TightestGroupOfV2Counts) {
  EXPECT_EQ(cgroup_cpu_limit(root_), 0);
  write("proc/self/cgroup", "0::/a/b/c\n");
  EXPECT_EQ(cgroup_cpu_limit(root_), 0);
  write("sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
  EXPECT_EQ(cgroup_cpu_limit(root_), 0);
  write("sys/fs/cgroup/a/cpu.max", "250000 100000\n");
  EXPECT_EQ(cgroup_cpu_limit(root_), 2);
  write("sys/fs/cgroup/a/b/cpu.max", "800000 100000\n");
  EXPECT_EQ(cgroup_cpu_limit(root_), 2);
  write("sys/fs/cgroup/a/b/c/cpu.max", "50000 100000\n");
  EXPECT_EQ(cgroup_cpu_limit(root_), 1);
}

TEST_F(FakeRoot, ContainerRootOfV2Counts) {
  write("proc/self/cgroup", "0::/../outside\n");
  write("sys/fs/cgroup/cpu.max", "300000 100000\n");
  EXPECT_EQ(cgroup_cpu_limit(root_), 3);
}

TEST_F(FakeRoot, QuotaOfV1Counts) {
  write("proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/x/y\n");
  write("sys/fs/cgroup/cpu,cpuacct/x/y/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu,cpuacct/x/y/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_cpu_limit(root_), 0);
  write("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "400000\n");
  write("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_cpu_limit(root_), 4);
}

TEST_F(FakeRoot, BrokenFilesMeanNoLimit) {
  write("proc/self/cgroup", "nonsense\n0::\n:::::\n");
  write("sys/fs/cgroup/cpu.max", "ten of 3\n");
  EXPECT_EQ(cgroup_cpu_limit(root_), 0);
}

TEST(CpuCount, ThisProcessHasACore) {
  EXPECT_GE(allowed_cpus().size(), 1U);
  EXPECT_GE(ThreadPool::default_size(), 1);
  EXPECT_LE(ThreadPool::default_size(), static_cast<int>(allowed_cpus().size()));
}

}  // namespace
}  // namespace mistral
