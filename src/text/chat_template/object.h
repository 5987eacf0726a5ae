// Reference-counted heap objects behind template values. A rendering counts only the references to
// objects that it made itself, so counts need not be atomic: what a compiled template holds is
// shared by all threads that render it, but outlives every rendering.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "text/chat_template/budget.h"

namespace mistral::text::jinja {

class Object {
 public:
  // A leaf holds no other objects, so it can be destroyed at once.
  explicit Object(bool leaf = false) : leaf_(leaf), permanent_(!Budget::active()) {}
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() { Budget::release(accounted_); }

  void retain() const {
    if (counted()) ++references_;
  }
  void release() const {
    if (counted() && --references_ == 0) destroy();
  }
  // Of an object that the rendering in progress made: nothing else refers to it.
  [[nodiscard]] bool unique() const { return !permanent_ && references_ == 1; }

  // Tells the budget that the object now holds `bytes`; throws when that is too much.
  void account(std::size_t bytes) {
    if (bytes > accounted_) {
      Budget::charge(bytes - accounted_);
    } else {
      Budget::release(accounted_ - bytes);
    }
    accounted_ = Budget::active() ? bytes : 0;
  }

 private:
  [[nodiscard]] bool counted() const { return !permanent_ || !Budget::active(); }
  // Destroys without recursion: a list nested a million deep must not exhaust the stack.
  void destroy() const;

  mutable std::uint32_t references_ = 0;
  const bool leaf_;
  const bool permanent_;  // made while no rendering was in progress: a part of the template
  std::size_t accounted_ = 0;
};

template <typename T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* object) : object_(object) {
    if (object_ != nullptr) object_->retain();
  }
  Ref(const Ref& other) : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) object_->release();
  }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  T* object_ = nullptr;
};

template <typename T, typename... Args>
[[nodiscard]] Ref<T> make_object(Args&&... args) {
  Ref<T> object(new T(std::forward<Args>(args)...));
  object->account(sizeof(T) + object->payload_bytes());
  return object;
}

}  // namespace mistral::text::jinja
