// A parser of files must not be made to allocate by a count that a short file states.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>

#include <sanitizer/allocator_interface.h>

#include "formats/memory_budget.h"

namespace mistral::fuzz {

// While it lives, an allocation above what formats::memory_for() allows ends the target. One at a
// time.
class AllocationLimit {
 public:
  explicit AllocationLimit(std::span<const std::byte> input) {
    [[maybe_unused]] static const int installed =
        __sanitizer_install_malloc_and_free_hooks(&check, &ignore);
    limit() = formats::memory_for(input);
  }
  ~AllocationLimit() { limit() = kNone; }
  AllocationLimit(const AllocationLimit&) = delete;
  AllocationLimit& operator=(const AllocationLimit&) = delete;

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};

  // The hooks take no argument of ours.
  static std::size_t& limit() {
    static std::size_t value = kNone;
    return value;
  }
  static void check(const volatile void*, std::size_t bytes) {
    if (bytes <= limit()) return;
    const std::size_t allowed = limit();
    limit() = kNone;
    std::fprintf(stderr, "an allocation of %zu bytes; expected at most %zu\n", bytes, allowed);
    std::abort();
  }
  static void ignore(const volatile void*) {}
};

}  // namespace mistral::fuzz
