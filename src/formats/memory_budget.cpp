#include "formats/memory_budget.h"

#include <algorithm>

#include "core/error.h"

namespace mistral::formats {

std::uint64_t memory_for(std::span<const std::byte> file) {
  constexpr std::uint64_t kSmall = std::uint64_t{8} << 20;
  return std::max<std::uint64_t>(kSmall, 2 * static_cast<std::uint64_t>(file.size()));
}

void MemoryBudget::charge(std::uint64_t bytes) {
  charge(bytes, 1);
}

void MemoryBudget::charge(std::uint64_t count, std::uint64_t bytes_each) {
  if (bytes_each != 0 && count > left_ / bytes_each) {
    throw make_error(ErrorKind::kInvalidFile, "{} needs more than {} bytes of memory", what_,
                     limit_);
  }
  left_ -= count * bytes_each;
}

}  // namespace mistral::formats
