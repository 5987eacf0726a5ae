#include "text/chat_template/chat_template.h"

#include <algorithm>

#include "text/chat_template/interpreter.h"
#include "text/chat_template/parser.h"
#include "text/chat_template/resolver.h"

namespace mistral::text {
namespace {

// Larger than any real template; bounds what compiling one can cost.
constexpr std::size_t kMaxSourceBytes = std::size_t{2} << 20U;
// What the stack of a thread carries safely.
constexpr int kDeepestRecursion = 500;

std::string located(const std::string& message, int line, int column) {
  if (line <= 0) return message;
  if (column <= 0) return fmt::format("line {}: {}", line, message);
  return fmt::format("line {}, column {}: {}", line, column, message);
}

}  // namespace

TemplateError::TemplateError(TemplateErrorKind kind, const std::string& message, int line,
                             int column)
    : Error(ErrorKind::kInvalidArgument, "chat template: " + located(message, line, column)),
      kind_(kind),
      message_(message),
      line_(line),
      column_(column) {}

struct ChatTemplate::Impl {
  std::string source;
  TemplateLimits limits;
  jinja::Program program;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

ChatTemplate ChatTemplate::compile(std::string_view source, TemplateLimits limits) {
  if (source.size() > kMaxSourceBytes) {
    throw TemplateError(TemplateErrorKind::kLimit,
                        fmt::format("the template has {} bytes, more than the limit of {}",
                                    source.size(), kMaxSourceBytes),
                        0, 0);
  }
  limits.recursion = std::clamp(limits.recursion, 1, kDeepestRecursion);
  auto impl = std::make_unique<Impl>();
  impl->source = std::string(source);
  impl->limits = limits;
  try {
    impl->program = jinja::resolve(jinja::parse_template(source, limits.recursion));
  } catch (const jinja::EvalError& error) {
    throw TemplateError(error.kind(), error.what(), 0, 0);
  }
  return ChatTemplate(std::move(impl));
}

std::string ChatTemplate::render(const Json& context,
                                 std::chrono::system_clock::time_point now) const {
  std::optional<jinja::Interpreter> interpreter;
  try {
    interpreter.emplace(impl_->program, context, impl_->limits, now);
    return interpreter->run();
  } catch (const jinja::EvalError& error) {
    if (!interpreter) throw TemplateError(error.kind(), error.what(), 0, 0);
    const jinja::Position where = interpreter->position();
    throw TemplateError(error.kind(), error.what(), where.line, where.column);
  }
}

const std::string& ChatTemplate::source() const {
  return impl_->source;
}

}  // namespace mistral::text
