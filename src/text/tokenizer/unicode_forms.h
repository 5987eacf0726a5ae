// Unicode normalisation forms, with the origin of every character.
#pragma once

#include "text/tokenizer/aligned_text.h"

namespace mistral::text {

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };

void apply_unicode_form(UnicodeForm form, AlignedText& text);

}  // namespace mistral::text
