// What a constraint says about texts, and whether its masks say the same.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/constraint.h"

namespace mistral::grammar {

// Tokens that cross the borders of what grammars are made of.
inline std::shared_ptr<const ConstraintVocabulary> small_vocabulary() {
  std::vector<std::string> texts = {"<end>"};
  for (int byte = 0; byte < 256; ++byte) texts.emplace_back(1, static_cast<char>(byte));
  for (const char* text :
       {"ab",        "abb",  "aa",   "0",    "12",     "123",  "1.5",      "-1",    "\":",   "\",",
        "{\"",       "\"}",  "\"},", "}]",   "[{",     "[[",   "true",     "false", "null",  "tru",
        " a",        " b",   " 1",   "\n\n", "  ",     "((",   "))",       "\",\"", "\":\"", "name",
        "\"name\":", " int", "int ", ";\n",  "é",      "日本", "\xE6\x97", "\xA5",  "],",    "a\"",
        "x\",",      ")*",   "+1",   "end",  " then ", "if x"}) {
    texts.emplace_back(text);
  }
  return std::make_shared<const ConstraintVocabulary>(std::move(texts), std::vector<TokenId>{0});
}

// The number of bytes that may begin a text, at most all of them.
inline std::size_t viable_bytes(const CompiledConstraint& constraint, std::string_view text) {
  const auto machine = constraint.start();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!machine->push(static_cast<std::uint8_t>(text[i]))) return i;
  }
  return text.size();
}

inline bool viable(const CompiledConstraint& constraint, std::string_view text) {
  return viable_bytes(constraint, text) == text.size();
}

inline bool accepted(const CompiledConstraint& constraint, std::string_view text) {
  const auto machine = constraint.start();
  for (const char c : text) {
    if (!machine->push(static_cast<std::uint8_t>(c))) return false;
  }
  return machine->accepts();
}

// At every place of a text that is viable: the mask holds exactly the tokens whose bytes can be
// pushed. Says where not.
inline std::string mask_difference(const std::shared_ptr<const CompiledConstraint>& constraint,
                                   std::string_view text) {
  const ConstraintVocabulary& vocabulary = constraint->vocabulary();
  const auto machine = constraint->start();
  for (std::size_t at = 0;; ++at) {
    TokenMask mask;
    mask.reset(vocabulary.size());
    machine->allow_tokens(vocabulary.trie(), 0, mask);
    const ByteSet next = machine->next_bytes();
    for (std::size_t i = 0; i < vocabulary.size(); ++i) {
      const auto id = static_cast<TokenId>(i);
      const std::string& token = vocabulary.text(id);
      std::size_t pushed = 0;
      while (pushed < token.size() && machine->push(static_cast<std::uint8_t>(token[pushed]))) {
        ++pushed;
      }
      const bool fits = !token.empty() && pushed == token.size();
      machine->pop(pushed);
      if (mask.allows(id) != fits) {
        return "after '" + std::string(text.substr(0, at)) + "' token '" + token + "' " +
               (fits ? "is missing" : "should be missing");
      }
      if (token.size() == 1 && next.test(static_cast<unsigned char>(token[0])) != fits) {
        return "after '" + std::string(text.substr(0, at)) + "' byte '" + token + "'";
      }
    }
    if (at == text.size() || !machine->push(static_cast<std::uint8_t>(text[at]))) return {};
  }
}

}  // namespace mistral::grammar
