// The one exception type of the project. Thrown while loading and while a request is being
// prepared; caught at each border (command line, request, language binding). Kernels and the
// decode loop do not throw.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace mistral {

enum class ErrorKind {
  kInvalidArgument,  // an option or a request field is wrong; the caller can fix it
  kNotFound,         // a file, tensor or key does not exist
  kInvalidFile,      // a file is damaged or is not what its name promises
  kUnsupported,      // understood, but this program cannot do it
  kResource,         // out of memory, threads, file handles
  kCancelled,        // the caller asked to stop
  kInternal,         // a defect of ours
};

// what() reads "outer context: inner context: message". Thread safe as any value.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string message)
      : std::runtime_error(message), kind_(kind), message_(std::move(message)) {}

  [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

  // Prefixes the message with where it happened ("reading model.gguf").
  Error& add_context(const std::string& context) {
    message_ = context + ": " + message_;
    return *this;
  }

 private:
  ErrorKind kind_;
  std::string message_;
};

template <typename... Args>
[[nodiscard]] Error make_error(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  return Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace mistral
