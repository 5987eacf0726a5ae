// Regular expressions in the syntax of Rust's regex crate, without what is not regular
// (look-around, back-references) and without word boundaries and multi-line anchors.
#pragma once

#include <string_view>

#include "text/grammar/automaton.h"

namespace mistral::grammar {

struct RegexOptions {
  // What the language is: texts that match as a whole, or texts that contain a match.
  bool search = false;
  // Characters are bytes instead of code points.
  bool bytes = false;
  // As in JavaScript and Python: classes do not nest, a brace that is no count is a character.
  // \D, \W and \S hold ASCII only: what these languages call digits, letters and spaces beyond
  // ASCII differs, so it is neither in them nor in \d, \w and \s.
  bool ecma = false;
  bool ignore_case = false;
  bool dot_all = false;  // a dot is also the end of a line
};

// The language of the expression. ^ and $ stand for the ends of the text. Throws Error
// (kInvalidArgument) that names line and column: what is wrong, not supported or too large.
[[nodiscard]] Dfa regex_dfa(std::string_view pattern, const RegexOptions& options, Budget& budget);

}  // namespace mistral::grammar
