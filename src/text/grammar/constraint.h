// Constrained answers: a constraint is compiled once for a vocabulary, off the engine's thread;
// each answer follows it with a state of its own.
//
//   ConstraintCompiler compiler(vocabulary);
//   auto constraint = compiler.compile({Constraint::Kind::kRegex, "[0-9]+"});
//   ConstraintState state(constraint);
//   state.allow(mask);            // before a token is drawn
//   state.advance(token);         // after it
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mistral/types.h"
#include "text/grammar/limits.h"
#include "text/grammar/machine.h"
#include "text/grammar/token_mask.h"
#include "text/grammar/vocabulary.h"

namespace mistral::grammar {

// A language and the vocabulary it is written in. Immutable and thread safe.
class CompiledConstraint {
 public:
  virtual ~CompiledConstraint() = default;
  [[nodiscard]] virtual std::unique_ptr<Machine> start() const = 0;
  [[nodiscard]] const ConstraintVocabulary& vocabulary() const { return *vocabulary_; }

 protected:
  explicit CompiledConstraint(std::shared_ptr<const ConstraintVocabulary> vocabulary)
      : vocabulary_(std::move(vocabulary)) {}

 private:
  std::shared_ptr<const ConstraintVocabulary> vocabulary_;
};

// Compiles without a cache. Throws Error (kInvalidArgument): the message begins with the kind and
// names line and column, or for a schema the JSON pointer and the keyword, or which limit was
// reached. Thread safe.
[[nodiscard]] std::shared_ptr<const CompiledConstraint> compile_constraint(
    const Constraint& constraint, std::shared_ptr<const ConstraintVocabulary> vocabulary,
    const CompileLimits& limits = {});

// Remembers what was compiled last. Thread safe.
class ConstraintCompiler {
 public:
  explicit ConstraintCompiler(std::shared_ptr<const ConstraintVocabulary> vocabulary,
                              const CompileLimits& limits = {})
      : vocabulary_(std::move(vocabulary)), limits_(limits) {}

  [[nodiscard]] std::shared_ptr<const CompiledConstraint> compile(const Constraint& constraint);
  [[nodiscard]] const ConstraintVocabulary& vocabulary() const { return *vocabulary_; }

 private:
  static constexpr std::size_t kMostKept = 64;
  struct Entry {
    Constraint constraint;
    std::shared_ptr<const CompiledConstraint> compiled;
  };

  std::shared_ptr<const ConstraintVocabulary> vocabulary_;
  CompileLimits limits_;
  std::mutex mutex_;
  std::list<Entry> entries_;  // the last used first
};

// The place of one answer in its constraint. Not thread safe. Members throw Error (kResource) when
// the text can be understood in too many ways at once; the state is then as before.
class ConstraintState {
 public:
  explicit ConstraintState(std::shared_ptr<const CompiledConstraint> constraint);

  // The tokens that may come next; an end token where the text may end. Never empty before
  // complete(), unless the vocabulary cannot spell what must come.
  void allow(TokenMask& mask);
  // False, and nothing changes, when the token is not allowed. After an end token nothing is.
  [[nodiscard]] bool advance(TokenId token);
  // Takes the last tokens back.
  void rollback(std::size_t tokens);
  // The text may end here.
  [[nodiscard]] bool may_end() const { return machine_->accepts(); }
  // It can only end here.
  [[nodiscard]] bool complete() { return may_end() && machine_->next_bytes().none(); }
  // An end token has been taken.
  [[nodiscard]] bool ended() const { return ended_; }
  // Tokens that must come next because their text must, as the tokenizer would write it; often
  // none. `most` bounds them.
  [[nodiscard]] std::vector<TokenId> forced_tokens(std::size_t most);
  // The tokens of a short text that brings this one to an end, with an end token where more could
  // follow; nothing when there are more than `most` or they are too costly to find.
  [[nodiscard]] std::optional<std::vector<TokenId>> ending_tokens(std::size_t most);
  [[nodiscard]] const ConstraintVocabulary& vocabulary() const { return constraint_->vocabulary(); }
  [[nodiscard]] std::size_t tokens() const { return lengths_.size(); }

 private:
  [[nodiscard]] bool at_beginning() const { return bytes_ == 0; }
  [[nodiscard]] std::string forced_text();
  [[nodiscard]] std::optional<std::vector<TokenId>> spell(const std::string& text) const;

  std::shared_ptr<const CompiledConstraint> constraint_;
  std::unique_ptr<Machine> machine_;
  std::vector<std::uint32_t> lengths_;  // bytes of each token
  std::size_t bytes_ = 0;
  bool ended_ = false;
};

}  // namespace mistral::grammar
