#include "core/page_buffer.h"

#include <cstdint>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include "core/error.h"

namespace mistral {
namespace {

constexpr std::size_t kLargePage = std::size_t{2} << 20U;

std::byte* map(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
}

// Only whole large pages at multiples of their size can be large.
std::byte* map_aligned(std::size_t bytes) {
  std::byte* memory = map(bytes + kLargePage);
  if (memory == nullptr) return nullptr;
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(memory) % kLargePage;
  if (before > 0) munmap(memory, before);
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t used = (bytes + page - 1) / page * page;
  munmap(memory + before + used, kLargePage - before);
  return memory + before;
}

}  // namespace

PageBuffer::PageBuffer(std::size_t bytes, Pages pages) : size_(bytes) {
  if (bytes == 0) return;
  const bool large = pages == Pages::kLarge && bytes >= kLargePage;
  data_ = large ? map_aligned(bytes) : map(bytes);
  if (data_ == nullptr) {
    throw make_error(ErrorKind::kResource, "out of memory: cannot map {} bytes", bytes);
  }
  // Where there are no large pages, small ones do.
  if (large) madvise(data_, bytes, MADV_HUGEPAGE);
}
PageBuffer::~PageBuffer() {
  if (data_ != nullptr) munmap(data_, size_);
}
PageBuffer::PageBuffer(PageBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
PageBuffer& PageBuffer::operator=(PageBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace mistral
