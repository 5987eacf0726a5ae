#include "text/chat_template/object.h"

#include <vector>

namespace mistral::text::jinja {
namespace {

thread_local std::vector<const Object*>* pending_destruction = nullptr;

}  // namespace

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
