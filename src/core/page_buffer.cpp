#include "core/page_buffer.h"

#include <utility>

#include <sys/mman.h>

#include "core/error.h"

namespace mistral {

PageBuffer::PageBuffer(std::size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw make_error(ErrorKind::kResource, "out of memory: cannot map {} bytes", bytes);
  }
  data_ = static_cast<std::byte*>(memory);
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
