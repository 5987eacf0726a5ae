#include "core/page_buffer.h"

#include <cstdint>
#include <fstream>

#include <gtest/gtest.h>

#include "core/error.h"

namespace mistral {
namespace {

constexpr std::size_t kLargePage = std::size_t{2} << 20U;
using Pages = PageBuffer::Pages;

std::size_t mapped_pages() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages;
}

TEST(PageBufferTest, IsZeroAndWritableToItsEnd) {
  for (const Pages pages : {Pages::kSmall, Pages::kLarge}) {
    for (const std::size_t bytes :
         {std::size_t{1}, std::size_t{4096}, kLargePage - 1, kLargePage, 2 * kLargePage + 4097}) {
      const PageBuffer buffer(bytes, pages);
      ASSERT_EQ(buffer.size(), bytes);
      EXPECT_EQ(buffer.data()[0], std::byte{0});
      EXPECT_EQ(buffer.data()[bytes - 1], std::byte{0});
      buffer.data()[bytes - 1] = std::byte{1};
    }
  }
}

TEST(PageBufferTest, LargePagesBeginAtMultiplesOfTheirSize) {
  const PageBuffer first(3 * kLargePage + 12'345, Pages::kLarge);
  const PageBuffer second(kLargePage, Pages::kLarge);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first.data()) % kLargePage, 0U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second.data()) % kLargePage, 0U);
}

// Nothing of the address space is kept, and nothing of others is given back.
TEST(PageBufferTest, GivesBackAllOfIt) {
  { const PageBuffer warm_up(kLargePage, Pages::kLarge); }
  const std::size_t before = mapped_pages();
  for (int i = 0; i < 1000; ++i) {
    PageBuffer buffer(kLargePage + 4096 * static_cast<std::size_t>(i % 600), Pages::kLarge);
    PageBuffer taken(std::move(buffer));
    PageBuffer neighbour(8192);
    taken.data()[taken.size() - 1] = std::byte{1};
    neighbour.data()[0] = std::byte{1};
  }
  EXPECT_EQ(mapped_pages(), before);
}

TEST(PageBufferTest, RefusesWhatCannotBeMapped) {
  EXPECT_THROW(PageBuffer(std::size_t{1} << 60U), Error);
  EXPECT_THROW(PageBuffer(std::size_t{1} << 60U, Pages::kLarge), Error);
}

}  // namespace
}  // namespace mistral
