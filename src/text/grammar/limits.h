// How much time and memory the compilation of one constraint may take. Constraints come from
// strangers: a small text can describe an automaton of millions of states.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace mistral::grammar {

struct CompileLimits {
  std::size_t text_bytes = std::size_t{1} << 20U;  // of the text of a constraint
  int nesting = 250;                               // of expressions, schemas and rules
  std::size_t states = 600'000;                    // of all automata together, before reduction
  std::size_t automaton_states = 120'000;          // of one deterministic automaton
  std::size_t bytes = std::size_t{96} << 20U;      // of all tables
  double seconds = 1.5;
};

// What is left of the limits. Each compilation has its own.
class Budget {
 public:
  explicit Budget(const CompileLimits& limits)
      : limits_(limits),
        deadline_(std::chrono::steady_clock::now() +
                  std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                      std::chrono::duration<double>(limits.seconds))) {}

  [[nodiscard]] const CompileLimits& limits() const { return limits_; }

  // Each throws Error (kInvalidArgument) that says which limit was reached.
  void add_states(std::size_t count);
  void add_bytes(std::size_t count);
  void check_automaton(std::size_t states) const;
  void check_text(std::size_t bytes) const;
  // To be called for each small piece of work; looks at the clock now and then.
  void tick();

 private:
  CompileLimits limits_;
  std::chrono::steady_clock::time_point deadline_;
  std::size_t states_ = 0;
  std::size_t bytes_ = 0;
  unsigned ticks_ = 0;
};

}  // namespace mistral::grammar
