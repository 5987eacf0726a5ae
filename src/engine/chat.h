// From messages or text to the token ids of a prompt: the one way that the command line and the
// C++ API share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "models/loader.h"
#include "text/reasoning/reasoning_splitter.h"

namespace mistral::engine {

struct PreparedPrompt {
  std::string text;  // what the template printed
  std::vector<TokenId> ids;
};

// Renders `messages` (an array of objects with role and content) with the model's chat template and
// encodes the result; the beginning-of-text token comes once. The template sees messages,
// add_generation_prompt (true), the texts of the special tokens (bos_token, eos_token, unk_token,
// pad_token; undefined when the model has none), tools and documents (none) and the members of the
// object `extra`, which win. With tools the model's template for them is used if it has one.
// Contents that are lists of text parts become texts unless the template reads parts itself.
// Throws Error: kUnsupported when the model has no usable template or no tokenizer, and says why;
// kInvalidArgument when `messages` is not such an array; what the template throws, with its line.
[[nodiscard]] PreparedPrompt prepare_chat(const models::LoadedModel& model, const Json& messages,
                                          const Json& extra = {});

// How the answer to `prompt` marks its reasoning.
[[nodiscard]] text::ReasoningStyle reasoning_style(const models::LoadedModel& model,
                                                   const PreparedPrompt& prompt);

// Encodes a text to be continued, with the special tokens that the model's tokenizer adds.
// Throws Error (kUnsupported) when the model has no tokenizer.
[[nodiscard]] std::vector<TokenId> prepare_text(const models::LoadedModel& model,
                                                std::string_view text);

}  // namespace mistral::engine
