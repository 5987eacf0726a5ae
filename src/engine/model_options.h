// What the options of the public API mean to the rooms below.
#pragma once

#include "engine/engine.h"
#include "mistral/model.h"
#include "models/fetch.h"
#include "models/loader.h"

namespace mistral::engine {

// All throw Error (kInvalidArgument) that names the option, what it holds and what is expected.
[[nodiscard]] models::ModelPath locate_model(const ModelOptions& options);
[[nodiscard]] models::HubAccess hub_access(const ModelOptions& options);
[[nodiscard]] models::LoadOptions load_options(const ModelOptions& options);
// Without the drafter of a draft model.
[[nodiscard]] EngineOptions engine_options(const ModelOptions& options);

}  // namespace mistral::engine
