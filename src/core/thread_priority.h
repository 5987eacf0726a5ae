#pragma once

namespace mistral {

// The calling thread gets processors that no other thread wants, and little else.
void lower_thread_priority();

}  // namespace mistral
