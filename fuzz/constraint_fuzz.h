// Any bytes as a constraint, and after a zero byte as a text that follows it: the constraint
// compiles or an Error says why not, masks agree with single bytes, and going back undoes all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "text/grammar/constraint.h"

namespace mistral::fuzz {

inline std::shared_ptr<const grammar::ConstraintVocabulary> constraint_vocabulary() {
  std::vector<std::string> texts = {"<end>"};
  for (int byte = 0; byte < 256; ++byte) texts.emplace_back(1, static_cast<char>(byte));
  for (const char* text :
       {"aa", "ab", "a b", "\":", "{\"", "}}", "12", "true", "\xC3\xA9", "((a"}) {
    texts.emplace_back(text);
  }
  return std::make_shared<const grammar::ConstraintVocabulary>(std::move(texts),
                                                               std::vector<TokenId>{0});
}

inline void check_mask(const grammar::ConstraintVocabulary& vocabulary,
                       grammar::ConstraintState& state) {
  grammar::TokenMask mask;
  state.allow(mask);
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const bool fits = state.advance(id);
    if (fits) state.rollback(1);
    if (fits != mask.allows(id)) std::abort();
  }
}

inline void follow(const std::shared_ptr<const grammar::CompiledConstraint>& constraint,
                   std::string_view text) {
  constexpr std::size_t kMostChecked = 6;
  grammar::ConstraintState state(constraint);
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (at < kMostChecked) check_mask(constraint->vocabulary(), state);
    if (!state.advance(static_cast<TokenId>(static_cast<unsigned char>(text[at]) + 1))) break;
  }
  check_mask(constraint->vocabulary(), state);
  (void)state.forced_tokens(16);
  state.rollback(state.tokens());
  check_mask(constraint->vocabulary(), state);
}

inline int constraint(Constraint::Kind kind, const std::uint8_t* data, std::size_t size) {
  static const auto vocabulary = constraint_vocabulary();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  grammar::CompileLimits limits;
  limits.text_bytes = 4096;
  limits.states = 20'000;
  limits.automaton_states = 4'000;
  limits.bytes = std::size_t{16} << 20U;
  limits.nesting = 60;
  try {
    const auto compiled = grammar::compile_constraint(
        {.kind = kind, .text = std::string(input.substr(0, end))}, vocabulary, limits);
    follow(compiled, end == std::string_view::npos ? "" : input.substr(end + 1));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInvalidArgument && error.kind() != ErrorKind::kResource) {
      std::abort();
    }
  }
  return 0;
}

}  // namespace mistral::fuzz
