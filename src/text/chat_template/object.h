// Reference-counted heap objects behind template values. Counts are atomic because constants of a
// compiled template are shared by all threads that render it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "text/chat_template/budget.h"

namespace mistral::text::jinja {

class Object {
 public:
  // A leaf holds no other objects, so it can be destroyed at once.
  explicit Object(bool leaf = false) : leaf_(leaf) {}
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object();

  void retain() const { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() const {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }
  [[nodiscard]] bool unique() const { return references_.load(std::memory_order_acquire) == 1; }

  // Tells the budget that the object now holds `bytes`; throws when that is too much.
  void account(std::size_t bytes);

 private:
  // Destroys without recursion: a list nested a million deep must not exhaust the stack.
  void destroy() const;

  mutable std::atomic<std::uint32_t> references_{0};
  bool leaf_;
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
