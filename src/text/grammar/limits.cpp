#include "text/grammar/limits.h"

#include "core/error.h"

namespace mistral::grammar {

void Budget::add_states(std::size_t count) {
  states_ += count;
  if (states_ > limits_.states) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "the constraint is too complex: its automata have more than {} states",
                     limits_.states);
  }
}

void Budget::add_bytes(std::size_t count) {
  bytes_ += count;
  if (bytes_ > limits_.bytes) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "the constraint is too complex: its tables take more than {} MiB",
                     limits_.bytes >> 20U);
  }
}

void Budget::check_automaton(std::size_t states) const {
  if (states > limits_.automaton_states) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "the constraint is too complex: one of its automata has more than {} states",
                     limits_.automaton_states);
  }
}

void Budget::check_text(std::size_t bytes) const {
  if (bytes > limits_.text_bytes) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "the constraint's text has {} bytes, expected at most {}", bytes,
                     limits_.text_bytes);
  }
}

void Budget::tick() {
  constexpr unsigned kTicksPerLook = 256;
  if (++ticks_ % kTicksPerLook != 0) return;
  if (std::chrono::steady_clock::now() > deadline_) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "the constraint is too complex: it takes more than {} seconds to compile",
                     limits_.seconds);
  }
}

}  // namespace mistral::grammar
