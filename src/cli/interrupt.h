// Ctrl-C while an answer is being generated: the signal sets a flag that the loop polls.
#pragma once

#include <csignal>

namespace mistral::cli {

// While alive, SIGINT sets the flag instead of ending the program. One at a time.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  [[nodiscard]] bool interrupted() const;

 private:
  struct sigaction previous_ {};
};

}  // namespace mistral::cli
