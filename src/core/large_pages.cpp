#include "core/large_pages.h"

#include <cstdint>

#include <sys/mman.h>
#include <unistd.h>

namespace mistral {

void prefer_large_pages(std::span<std::byte> memory) {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  const std::uintptr_t begin = (address + page - 1) & ~(page - 1);
  const std::uintptr_t end = (address + memory.size()) & ~(page - 1);
  // Advice only: a system without large pages declines it, and nothing but speed changes.
  if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
}

}  // namespace mistral
