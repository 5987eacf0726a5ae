// Large pages for memory that will be written as a whole.
#pragma once

#include <cstddef>
#include <span>

namespace mistral {

// Asks the system to back `memory`, of which nothing was touched yet, by large pages where they
// fit: fewer faults while it is filled, fewer misses of the TLB while it is read. A large page is
// paid for when its first byte is touched.
void prefer_large_pages(std::span<std::byte> memory);

}  // namespace mistral
