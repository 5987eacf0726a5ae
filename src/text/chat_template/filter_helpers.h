// What several filters need.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "text/chat_template/builtins.h"
#include "text/chat_template/format.h"
#include "text/chat_template/instance.h"
#include "text/chat_template/interpreter.h"
#include "text/chat_template/lookup.h"

namespace mistral::text::jinja {

// str(), except that a safe string stays one.
[[nodiscard]] inline Value soft_string(const Value& value) {
  return value.is_string() ? value : Value::string(to_str(value));
}

// A path such as "user.name" or "items.0" into nested values.
class AttributePath {
 public:
  // Missing and None give the empty path. `fallback`, unless missing or None, replaces what is
  // undefined on the way.
  explicit AttributePath(const Value& attribute, Value fallback = {});
  [[nodiscard]] Value get(const Value& item) const;

 private:
  std::vector<Value> parts_;
  Value fallback_;
};

// Strings in lower case, other values as they are.
[[nodiscard]] Value ignore_case(const Value& value);

// An iterator that makes its items with a function; the function returns false at the end. The
// function is made when the first item is wanted, so that errors come as late as in Python.
class Generator final : public Iterator {
 public:
  using Step = std::function<bool(Value&)>;
  Generator(std::string_view name, std::function<Step()> start)
      : name_(name), start_(std::move(start)) {}
  [[nodiscard]] std::string repr() const override;
  [[nodiscard]] bool next(Value& item) override;

 private:
  const std::string_view name_;  // of the Python function, of static storage
  std::function<Step()> start_;
  Step step_;
  bool running_ = false;
  bool finished_ = false;
};

[[nodiscard]] Value make_generator(std::string_view name, std::function<Generator::Step()> start);

}  // namespace mistral::text::jinja
