// What the tokens of a vocabulary do to a lexer: see TokenFates, here with the terminal that was
// read where they leave.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "text/grammar/terminal.h"

namespace mistral::grammar {

struct LexerFates {
  TokenFates taken = {};  // its exits are not used
  struct Exit {
    std::uint32_t terminal = 0;  // read completely before the byte that leads to `node`
    std::uint8_t byte = 0;
    TrieNode node = 0;
  };
  std::vector<Exit> exits = {};  // by terminal, then by byte

  [[nodiscard]] std::size_t bytes() const {
    return taken.bytes() + exits.size() * sizeof(exits[0]) + sizeof(LexerFates);
  }
};

// What is remembered about a lexer. Thread safe.
class LexerMemory {
 public:
  FateCache<LexerFates> fates;

  // A small number for a set of terminals; equal sets have equal ones.
  [[nodiscard]] std::uint32_t number_of(const std::vector<std::uint64_t>& set) {
    const std::lock_guard lock(mutex_);
    return numbers_.try_emplace(set, static_cast<std::uint32_t>(numbers_.size())).first->second;
  }

 private:
  std::mutex mutex_;
  std::map<std::vector<std::uint64_t>, std::uint32_t> numbers_;
};

}  // namespace mistral::grammar
