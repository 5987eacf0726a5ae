#include "core/large_pages.h"

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "core/page_buffer.h"

namespace mistral {
namespace {

// The flags of the mapping that holds `address` ("rd wr mr mw me ac hg "), from the system.
std::string mapping_flags(const void* address) {
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  std::ifstream maps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2) {
      inside = begin <= wanted && wanted < end;
    } else if (inside && line.starts_with("VmFlags:")) {
      return line;
    }
  }
  return "";
}

TEST(LargePages, AreAskedForInsideOfTheMemory) {
  if (!std::filesystem::exists("/sys/kernel/mm/transparent_hugepage")) {
    GTEST_SKIP() << "no large pages on this machine";
  }
  const PageBuffer buffer(std::size_t{8} << 20);
  constexpr std::size_t kFirst = 1;  // neither end is that of a page
  ASSERT_EQ(mapping_flags(buffer.data() + (1 << 20)).find(" hg"), std::string::npos);
  prefer_large_pages({buffer.data() + kFirst, (std::size_t{4} << 20) - 2});
  EXPECT_EQ(mapping_flags(buffer.data()).find(" hg"), std::string::npos);
  EXPECT_NE(mapping_flags(buffer.data() + (1 << 20)).find(" hg"), std::string::npos);
  EXPECT_EQ(mapping_flags(buffer.data() + (4 << 20) - 1).find(" hg"), std::string::npos);
  EXPECT_EQ(mapping_flags(buffer.data() + (6 << 20)).find(" hg"), std::string::npos);
}

TEST(LargePages, NothingToAskFor) {
  prefer_large_pages({});
  std::byte small[16] = {};
  prefer_large_pages(small);
  EXPECT_EQ(small[3], std::byte{0});
}

}  // namespace
}  // namespace mistral
