// SIGINT and SIGTERM as something to wait for.
#pragma once

#include <chrono>
#include <csignal>
#include <optional>

namespace mistral::cli {

// While alive, the signals come here instead of ending the program. One at a time.
class ShutdownSignals {
 public:
  // Throws Error (kResource).
  ShutdownSignals();
  ~ShutdownSignals();
  ShutdownSignals(const ShutdownSignals&) = delete;
  ShutdownSignals& operator=(const ShutdownSignals&) = delete;

  // The number of the next signal, waited for so long.
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds time);

 private:
  int pipe_[2] = {-1, -1};
  struct sigaction previous_interrupt_ {};
  struct sigaction previous_terminate_ {};
};

}  // namespace mistral::cli
