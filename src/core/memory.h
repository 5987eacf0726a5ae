// What the machine has left.
#pragma once

#include <cstdint>

namespace mistral {

// Bytes that this process may still take without swapping: available memory of the system, limited
// by the memory limit of its control group. 0 when unknown.
[[nodiscard]] std::int64_t available_memory();

}  // namespace mistral
