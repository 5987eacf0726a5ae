// What one rendering may spend: live bytes of values and buffers, and steps of work. A template
// and its data come from strangers, so every value that is created and every loop is counted.
// The budget in force is a property of the thread, so that operators and filters need not carry it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mistral::text::jinja {

class Budget {
 public:
  Budget(std::size_t memory_limit, std::uint64_t step_limit);
  ~Budget();
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  // Without a budget in force (while compiling) these do nothing. charge() and require() throw
  // EvalError(kLimit); require() only asks whether `bytes` more would fit.
  static void charge(std::size_t bytes) {
    if (current_ == nullptr) return;
    require(bytes);
    current_->live_ += bytes;
  }
  static void require(std::size_t bytes) {
    const Budget* budget = current_;
    if (budget == nullptr) return;
    if (bytes > budget->memory_limit_ || budget->live_ > budget->memory_limit_ - bytes) {
      budget->throw_memory();
    }
  }
  static void release(std::size_t bytes) noexcept {
    Budget* budget = current_;
    if (budget != nullptr) budget->live_ -= bytes < budget->live_ ? bytes : budget->live_;
  }
  [[nodiscard]] static bool active() { return current_ != nullptr; }

  // One step is about the evaluation of one node; bulk work on text costs a step for each
  // kBytesPerStep bytes.
  static constexpr std::size_t kBytesPerStep = 32;
  static void spend(std::uint64_t steps) {
    Budget* budget = current_;
    if (budget == nullptr) return;
    budget->steps_ += steps;
    if (budget->steps_ > budget->step_limit_) budget->throw_steps();
  }
  static void spend_bytes(std::size_t bytes) { spend(1 + bytes / kBytesPerStep); }

  void step() {
    if (++steps_ > step_limit_) throw_steps();
  }

 private:
  [[noreturn]] void throw_memory() const;
  [[noreturn]] void throw_steps() const;

  static inline constinit thread_local Budget* current_ = nullptr;

  std::size_t live_ = 0;
  std::size_t memory_limit_;
  std::uint64_t steps_ = 0;
  std::uint64_t step_limit_;
  Budget* previous_;
};

// Bounds recursion through objects that hold each other: generators over generators, views of
// dicts in dicts. Throws EvalError(kLimit).
class NestingGuard {
 public:
  NestingGuard();
  ~NestingGuard();
  NestingGuard(const NestingGuard&) = delete;
  NestingGuard& operator=(const NestingGuard&) = delete;
};

}  // namespace mistral::text::jinja
