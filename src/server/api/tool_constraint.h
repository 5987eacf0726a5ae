// What `tools`, `tool_choice` and `strict` demand of the calls in an answer.
#pragma once

#include "mistral/types.h"
#include "server/api/service.h"
#include "server/api/tools.h"
#include "text/tool_calls/tool_call_parser.h"

namespace mistral::server {

// An answer that is calls only, in the form that the model's template is made for where that form
// has arguments in JSON, else in that of Hermes; the answer's parser reads both.
[[nodiscard]] Constraint required_calls(const Service& service, const ToolSettings& tools);

// Free text in which calls in that form may stand: from its mark on, a call of a strict tool
// follows the tool's schema.
[[nodiscard]] Constraint strict_calls(const Service& service, const ToolSettings& tools);

// Models write calls in other forms, too, which no constraint holds to a schema: this refuses those
// of strict tools that do not follow it. Empty without strict tools. Throws ApiError that names the
// schema that cannot be enforced.
[[nodiscard]] text::ToolCallParser::Accepts strict_check(const Service& service,
                                                         const ToolSettings& tools);

}  // namespace mistral::server
