// Large JSON documents as a stream of events.
#pragma once

#include <string_view>

#include "text/tokenizer/json_reader.h"

namespace mistral::text {

// Tells `handler` of the values of a document in their order, repeated keys included. What is no
// JSON ends in handler.parse_error(), before or after other events.
void read_json_events(std::string_view json, nlohmann::json_sax<JsonValue>& handler);

}  // namespace mistral::text
