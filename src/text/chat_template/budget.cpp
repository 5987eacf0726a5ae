#include "text/chat_template/budget.h"

#include "text/chat_template/eval_error.h"

namespace mistral::text::jinja {
namespace {

constexpr int kMaxNesting = 200;

thread_local int nested_objects = 0;

}  // namespace

Budget::Budget(std::size_t memory_limit, std::uint64_t step_limit)
    : memory_limit_(memory_limit), step_limit_(step_limit), previous_(current_) {
  current_ = this;
}

Budget::~Budget() {
  current_ = previous_;
}

NestingGuard::NestingGuard() {
  if (nested_objects >= kMaxNesting) {
    throw limit_error("objects hold each other deeper than {} levels", kMaxNesting);
  }
  ++nested_objects;
}

NestingGuard::~NestingGuard() {
  --nested_objects;
}

void Budget::throw_memory() const {
  throw limit_error("the template needs more memory than the limit of {} bytes", memory_limit_);
}

void Budget::throw_steps() const {
  throw limit_error("the template takes more than the limit of {} steps", step_limit_);
}

}  // namespace mistral::text::jinja
