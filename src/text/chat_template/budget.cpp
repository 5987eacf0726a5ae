#include "text/chat_template/budget.h"

#include "text/chat_template/eval_error.h"

namespace mistral::text::jinja {
namespace {

constexpr int kMaxNesting = 200;

thread_local Budget* current_budget = nullptr;
thread_local int nesting = 0;

}  // namespace

Budget::Budget(std::size_t memory_limit, std::uint64_t step_limit)
    : memory_limit_(memory_limit), step_limit_(step_limit), previous_(current_budget) {
  current_budget = this;
}

Budget::~Budget() {
  current_budget = previous_;
}

bool Budget::active() {
  return current_budget != nullptr;
}

void Budget::require(std::size_t bytes) {
  const Budget* budget = current_budget;
  if (budget == nullptr) return;
  if (bytes > budget->memory_limit_ || budget->live_ > budget->memory_limit_ - bytes) {
    throw limit_error("the template needs more memory than the limit of {} bytes",
                      budget->memory_limit_);
  }
}

void Budget::charge(std::size_t bytes) {
  if (current_budget == nullptr) return;
  require(bytes);
  current_budget->live_ += bytes;
}

void Budget::release(std::size_t bytes) noexcept {
  Budget* budget = current_budget;
  if (budget == nullptr) return;
  budget->live_ -= bytes < budget->live_ ? bytes : budget->live_;
}

void Budget::spend(std::uint64_t steps) {
  Budget* budget = current_budget;
  if (budget == nullptr) return;
  budget->steps_ += steps;
  if (budget->steps_ > budget->step_limit_) budget->throw_steps();
}

NestingGuard::NestingGuard() {
  if (nesting >= kMaxNesting) {
    throw limit_error("objects hold each other deeper than {} levels", kMaxNesting);
  }
  ++nesting;
}

NestingGuard::~NestingGuard() {
  --nesting;
}

void Budget::throw_steps() const {
  throw limit_error("the template takes more than the limit of {} steps", step_limit_);
}

}  // namespace mistral::text::jinja
