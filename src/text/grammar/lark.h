// Grammars in the language of Lark (https://lark-parser.readthedocs.io, "Grammar Reference"):
// rules, terminals, strings, regular expressions, ranges, repetitions, templates, aliases,
// priorities, %ignore, and %import of the terminals of `common`.
//
// A text belongs to the language when some derivation spells it, with ignored terminals between any
// two terminals, as with Lark's parser "earley" and its lexer "dynamic_complete". Priorities choose
// among derivations and do not change the language.
#pragma once

#include <memory>
#include <string_view>

#include "text/grammar/grammar.h"

namespace mistral::grammar {

// The start rule is `start`. Throws Error (kInvalidArgument) that names line and column.
[[nodiscard]] std::shared_ptr<const Grammar> compile_lark(std::string_view text,
                                                          const ConstraintVocabulary& vocabulary,
                                                          Budget& budget);

}  // namespace mistral::grammar
