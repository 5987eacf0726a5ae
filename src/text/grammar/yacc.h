// Grammars in the syntax of yacc, with their terminals written out:
//
//   %start expr
//   %left "+"
//   %%
//   SKIP: "/[ \t]+/" ;
//   NUM: "/[0-9]+/" ;
//   expr: expr "+" NUM | NUM ;
//
// A terminal in quotes is a literal, or between slashes a regular expression over bytes; there are
// no escapes inside the quotes. All terminals form one lexer: the longest match wins, at equal
// length a literal before an expression, and among each kind the one spelled longer. What the rule
// SKIP lists is dropped wherever it is read.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/lexer_fates.h"
#include "text/grammar/lr_ends.h"
#include "text/grammar/lr_table.h"

namespace mistral::grammar {

using TerminalSet = std::vector<std::uint64_t>;  // a bit for each terminal

// A lexer and a parser. Immutable but for what it remembers about tokens; thread safe. Used with
// one vocabulary only.
struct YaccTables {
  Dfa lexer;                       // its labels are terminals
  std::vector<TerminalSet> reach;  // for each state: what may be read from there on
  TerminalSet skipped;             // what is dropped
  LrTable parser;
  LrEnds ends;
  std::unique_ptr<LexerMemory> memory = std::make_unique<LexerMemory>();
};

// Throws Error (kInvalidArgument) that names line and column.
[[nodiscard]] std::shared_ptr<const YaccTables> compile_yacc(std::string_view text, Budget& budget);

}  // namespace mistral::grammar
