// Loops that do nothing but multiply-add, or nothing but read: what the machine could do at best.
// The instructions are written out, so that the figures do not depend on what a compiler makes of
// a loop; which ones run is chosen by the processor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace mistral::benchmarks {

struct PeakKernel {
  std::string_view name;        // the instructions, for people
  std::int64_t operations = 0;  // per iteration; a multiply-add counts as two
  void (*run)(std::int64_t iterations) = nullptr;
};

// The best loop of this processor for products of int8, bf16 and f32; none when it has no such
// instructions or the loops are not written for it (processors other than x86-64).
[[nodiscard]] std::optional<PeakKernel> int8_kernel();
[[nodiscard]] std::optional<PeakKernel> bf16_kernel();
[[nodiscard]] std::optional<PeakKernel> f32_kernel();

// Loads every byte once. The result depends on all of them, so no load can be left out.
[[nodiscard]] std::uint64_t read_all(std::span<const std::byte> bytes);

}  // namespace mistral::benchmarks
