// Chat templates: the part of Jinja2 that models' templates use, rendered exactly as the
// Transformers library does (immutable sandbox, trim_blocks, lstrip_blocks, loop controls).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/json.h"

namespace mistral::text {

enum class TemplateErrorKind { kSyntax, kUndefined, kRuntime, kRaise, kSecurity, kLimit };

// What went wrong in a template and where (1-based; 0 when unknown). what() contains both.
class TemplateError : public Error {
 public:
  TemplateError(TemplateErrorKind kind, const std::string& message, int line, int column);
  [[nodiscard]] TemplateErrorKind template_kind() const { return kind_; }
  [[nodiscard]] int line() const { return line_; }
  [[nodiscard]] int column() const { return column_; }
  // The message alone; for kRaise exactly the text given to raise_exception().
  [[nodiscard]] const std::string& message() const { return message_; }

 private:
  TemplateErrorKind kind_;
  std::string message_;
  int line_;
  int column_;
};

struct TemplateLimits {
  std::size_t output_bytes = 64U << 20U;
  std::uint64_t steps = 20'000'000;  // evaluated nodes and loop turns
  int recursion = 100;               // macros, nested expressions and blocks; at most 500
};

// A compiled template; rendering is const and thread safe.
class ChatTemplate {
 public:
  // Throws TemplateError (kSyntax, kLimit).
  [[nodiscard]] static ChatTemplate compile(std::string_view source, TemplateLimits limits = {});
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // `context` is an object: messages, add_generation_prompt, bos_token, eos_token, tools, … ; a
  // variable that it lacks is undefined. `now` is what strftime_now() formats (local time).
  // Throws TemplateError.
  [[nodiscard]] std::string render(const Json& context, std::chrono::system_clock::time_point now =
                                                            std::chrono::system_clock::now()) const;

  [[nodiscard]] const std::string& source() const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mistral::text
