// The texts that end a repetition, as the token ids that sampling works on.
#pragma once

#include <vector>

#include "mistral/types.h"
#include "text/tokenizer/tokenizer.h"

namespace mistral::engine {

// The last token of each of SamplingParams::dry_sequence_breakers as it is written after other
// text, in rising order. None when DRY is off or without a tokenizer, which may be null.
[[nodiscard]] std::vector<TokenId> dry_breakers(const SamplingParams& sampling,
                                                const text::Tokenizer* tokenizer);

}  // namespace mistral::engine
