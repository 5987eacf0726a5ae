// The exception used inside the template engine. It knows what went wrong but not where: the
// renderer adds line and column and turns it into the TemplateError of the public interface.
#pragma once

#include <stdexcept>
#include <string>

#include <fmt/format.h>

#include "text/chat_template/chat_template.h"

namespace mistral::text::jinja {

class EvalError : public std::runtime_error {
 public:
  EvalError(TemplateErrorKind kind, const std::string& message)
      : std::runtime_error(message), kind_(kind) {}
  [[nodiscard]] TemplateErrorKind kind() const { return kind_; }

 private:
  TemplateErrorKind kind_;
};

// A Python exception (TypeError, ValueError, ...) that a template would have met.
template <typename... Args>
[[nodiscard]] EvalError runtime_error(fmt::format_string<Args...> format, Args&&... args) {
  return {TemplateErrorKind::kRuntime, fmt::format(format, std::forward<Args>(args)...)};
}

template <typename... Args>
[[nodiscard]] EvalError limit_error(fmt::format_string<Args...> format, Args&&... args) {
  return {TemplateErrorKind::kLimit, fmt::format(format, std::forward<Args>(args)...)};
}

}  // namespace mistral::text::jinja
