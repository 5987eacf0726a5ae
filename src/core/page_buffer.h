// Memory straight from the system: page aligned, zero, and paid for only when touched.
#pragma once

#include <cstddef>

namespace mistral {

class PageBuffer {
 public:
  // kLarge: where the system can, in pages of 2 MiB, which spares a reader that walks through all
  // of it most look-ups of addresses. Touching one byte may then take that much: for what is
  // filled.
  enum class Pages { kSmall, kLarge };

  PageBuffer() = default;
  // Reserves `bytes` of address space. Throws Error (kResource).
  explicit PageBuffer(std::size_t bytes, Pages pages = Pages::kSmall);
  ~PageBuffer();
  PageBuffer(PageBuffer&& other) noexcept;
  PageBuffer& operator=(PageBuffer&& other) noexcept;
  PageBuffer(const PageBuffer&) = delete;
  PageBuffer& operator=(const PageBuffer&) = delete;

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  template <typename T>
  [[nodiscard]] T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace mistral
