// Decides at compile time where every variable of a template lives, with the scoping rules of
// Jinja: what an assignment in a branch, a loop, a macro or a block can see and change.
#pragma once

#include "text/chat_template/ast.h"

namespace mistral::text::jinja {

// Throws TemplateError (kSyntax) for what only shows here: unknown filters, break outside a loop,
// blocks of the same name, assignments to `loop`.
[[nodiscard]] Program resolve(Body body);

}  // namespace mistral::text::jinja
