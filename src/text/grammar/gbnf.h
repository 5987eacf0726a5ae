// Grammars in GBNF, the EBNF dialect of llama.cpp's grammars, and W3C's EBNF as far as it agrees:
//   root ::= "a" [0-9]+ (ws item){2,3} | other?   # comment
// The first rule is `root`, or the first one of the text where there is no root.
#pragma once

#include <memory>
#include <string_view>

#include "text/grammar/grammar.h"

namespace mistral::grammar {

// Throws Error (kInvalidArgument) that names line and column.
[[nodiscard]] std::shared_ptr<const Grammar> compile_gbnf(std::string_view text,
                                                          const ConstraintVocabulary& vocabulary,
                                                          Budget& budget);

}  // namespace mistral::grammar
