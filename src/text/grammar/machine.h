// Follows a text byte by byte and says how it may go on: what each kind of grammar implements.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "text/grammar/terminal.h"
#include "text/grammar/token_mask.h"
#include "text/grammar/token_trie.h"

namespace mistral::grammar {

// One text under construction. Not thread safe; machines of one constraint are independent.
class Machine {
 public:
  virtual ~Machine() = default;

  // False, and nothing changes, where no text of the language goes on like this. Throws Error
  // (kResource) when the text can be understood in too many ways at once.
  [[nodiscard]] virtual bool push(std::uint8_t byte) = 0;
  // Takes the last bytes back.
  virtual void pop(std::size_t count) = 0;
  // The text so far belongs to the language.
  [[nodiscard]] virtual bool accepts() const = 0;
  // The bytes that may follow.
  [[nodiscard]] virtual ByteSet next_bytes() = 0;
  // Adds the tokens that may follow. `which` tells tries apart: 0 or 1, always the same trie.
  virtual void allow_tokens(const TokenTrie& trie, int which, TokenMask& mask) = 0;
  // A short text that brings this one to an end, the shortest where that is cheap to find; nothing
  // when it has more than `most` bytes or is too costly to find.
  [[nodiscard]] virtual std::optional<std::string> shortest_end(std::size_t most) = 0;
};

}  // namespace mistral::grammar
