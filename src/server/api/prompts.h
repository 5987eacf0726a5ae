// Texts or lists of token ids that a request names: `prompt` of completions, `input` of embeddings.
#pragma once

#include <string>
#include <vector>

#include "server/api/fields.h"
#include "server/api/service.h"

namespace mistral::server {

struct PromptInput {
  std::vector<TokenId> ids{};
  std::string text{};  // as given, or what the ids say
};

inline constexpr std::size_t kMostPrompts = 2048;  // of one request

// A text, a list of texts, a list of ids or a list of such lists. Texts get the special tokens that
// the model's tokenizer adds. `truncates`: ones beyond the context are read, to be cut. Throws
// ApiError that names the field.
[[nodiscard]] std::vector<PromptInput> read_prompts(const Service& service, const Fields& fields,
                                                    const std::string& name, bool want_text,
                                                    bool truncates);

}  // namespace mistral::server
