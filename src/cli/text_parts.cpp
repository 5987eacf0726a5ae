#include "cli/text_parts.h"

#include "core/error.h"
#include "models/description.h"

namespace mistral::cli {

models::LoadedModel load_text_parts(const models::ModelPath& path,
                                    const models::TextOptions& options) {
  const models::Description description = models::describe(path);
  models::LoadedModel model;
  model.name = description.name;
  models::load_text_side(path, description, model, options);
  if (model.tokenizer == nullptr) {
    throw make_error(ErrorKind::kUnsupported, "the model has no usable tokenizer: {}",
                     model.tokenizer_problem);
  }
  return model;
}

}  // namespace mistral::cli
