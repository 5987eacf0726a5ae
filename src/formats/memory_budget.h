// What a parser may allocate for a file: files describe more than they hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace mistral::formats {

// Twice the file; a fixed part so that small files are not refused for the overhead of their few
// objects.
[[nodiscard]] std::uint64_t memory_for(std::span<const std::byte> file);

class MemoryBudget {
 public:
  // `what` is named when the budget is spent: "the pickle". It must outlive this.
  MemoryBudget(std::uint64_t bytes, std::string_view what)
      : what_(what), limit_(bytes), left_(bytes) {}

  // Before `bytes` are allocated. Throws Error (kInvalidFile) when they are not left.
  void charge(std::uint64_t bytes);
  // As many objects of `bytes_each`; the product may overflow.
  void charge(std::uint64_t count, std::uint64_t bytes_each);

 private:
  std::string_view what_;
  std::uint64_t limit_;
  std::uint64_t left_;
};

}  // namespace mistral::formats
