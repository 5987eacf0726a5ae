// The parts of a model that deal with text, without its weights.
#pragma once

#include "models/loader.h"

namespace mistral::cli {

// As models::load(), with `model` left null. Throws Error; the tokenizer is not null.
[[nodiscard]] models::LoadedModel load_text_parts(const models::ModelPath& path,
                                                  const models::TextOptions& options = {});

}  // namespace mistral::cli
