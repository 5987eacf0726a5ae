// Cuts where the Unicode script changes (SentencePiece's split_by_unicode_script).
#pragma once

#include <string_view>
#include <vector>

#include "text/tokenizer/regex.h"

namespace mistral::text {

// Spaces and unassigned characters belong to any script; Hiragana and Katakana count as Han.
// Leading characters of any script are left out.
void split_by_script(std::string_view text, std::vector<ByteRange>& out);

}  // namespace mistral::text
