#include "text/chat_template/object.h"

#include <vector>

namespace mistral::text::jinja {
namespace {

thread_local std::vector<const Object*>* pending_destruction = nullptr;

}  // namespace

Object::~Object() {
  Budget::release(accounted_);
}

void Object::account(std::size_t bytes) {
  if (bytes > accounted_) {
    const std::size_t more = bytes - accounted_;
    Budget::charge(more);
  } else {
    Budget::release(accounted_ - bytes);
  }
  accounted_ = Budget::active() ? bytes : 0;
}

void Object::destroy() const {
  if (leaf_) {
    delete this;
    return;
  }
  if (pending_destruction != nullptr) {
    pending_destruction->push_back(this);
    return;
  }
  std::vector<const Object*> pending;
  pending_destruction = &pending;
  delete this;
  while (!pending.empty()) {
    const Object* next = pending.back();
    pending.pop_back();
    delete next;
  }
  pending_destruction = nullptr;
}

}  // namespace mistral::text::jinja
