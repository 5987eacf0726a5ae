// Guesses what follows a sequence, so that several tokens can be computed in one step.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/distribution.h"
#include "engine/sampler.h"
#include "mistral/types.h"

namespace mistral::engine {

// Tokens that may follow, and what each was drawn from; no distributions where they are no draws
// but the only choice.
struct Draft {
  std::vector<TokenId> tokens;
  std::vector<Distribution> distributions;

  void clear() {
    tokens.clear();
    distributions.clear();
  }
};

struct DraftRequest {
  std::uint64_t sequence = 0;        // the same number for the same sequence, never used again
  std::span<const TokenId> context;  // prompt and answer so far
  std::int64_t prompt_length = 0;
  std::int32_t wanted = 0;     // tokens at most
  Sampler* sampler = nullptr;  // how the sequence chooses its tokens
  Draft* draft = nullptr;      // filled in
};

class Drafter {
 public:
  virtual ~Drafter() = default;
  // Fills in the drafts; some may stay empty.
  virtual void propose(std::span<DraftRequest> requests) = 0;
  // The sequence is over.
  virtual void forget(std::uint64_t sequence) noexcept = 0;
};

// Looks for the last tokens earlier in the sequence and proposes what followed there.
class NgramDrafter : public Drafter {
 public:
  void propose(std::span<DraftRequest> requests) override;
  void forget(std::uint64_t) noexcept override {}
};

}  // namespace mistral::engine
