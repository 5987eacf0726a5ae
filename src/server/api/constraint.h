// The one place where what a request demands of the form of an answer (response_format, grammar,
// tool_choice) becomes a constraint of the engine.
#pragma once

#include "engine/request.h"
#include "server/api/fields.h"
#include "server/api/service.h"
#include "server/api/tools.h"

namespace mistral::server {

// The request's `shows_tool_marks` is set already. Throws ApiError that names the field: unknown,
// or a form that cannot be enforced.
void apply_constraint(const Service& service, const Fields& fields, const ToolSettings& tools,
                      engine::Request& request);

}  // namespace mistral::server
