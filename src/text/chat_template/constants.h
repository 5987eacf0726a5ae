// Which expressions Jinja evaluates while it compiles.
#pragma once

#include "text/chat_template/ast.h"

namespace mistral::text::jinja {

// The expression reads no variable, calls no function and uses no filter that needs the context.
// It matters in one place: slicing a constant that cannot be sliced gives an undefined value
// instead of an error when such an expression is printed.
[[nodiscard]] bool is_constant(const Expr& expr);

}  // namespace mistral::text::jinja
