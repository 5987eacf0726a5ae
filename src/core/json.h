// The JSON type of the project: objects keep the order of their keys, as templates and answers
// must reproduce it.
#pragma once

#include <nlohmann/json.hpp>

namespace mistral {

using Json = nlohmann::ordered_json;

}  // namespace mistral
