// A smaller model with the same vocabulary guesses.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/block_manager.h"
#include "engine/drafter.h"
#include "nn/sequence_model.h"

namespace mistral::engine {

class ModelDrafter : public Drafter {
 public:
  // Guesses ids below `vocab_size`, the target's. `model` must outlive the drafter. Used by one
  // thread at a time.
  ModelDrafter(nn::SequenceModel& model, std::int32_t vocab_size);

  void propose(std::span<DraftRequest> requests) override;
  void forget(std::uint64_t sequence) noexcept override;

 private:
  struct State {
    BlockTables blocks;
    std::vector<TokenId> tokens;  // whose keys and values are in the cache
    std::uint64_t used = 0;       // when it last took part
  };
  // A request on its way: what it was given and guessed, and what of that is computed.
  struct Run {
    DraftRequest* request = nullptr;
    State* state = nullptr;
    std::vector<TokenId> tokens;
  };

  void prepare(DraftRequest& request);
  void compute(std::vector<Run*>& runs);
  [[nodiscard]] bool make_room(State& state, std::int64_t tokens);
  void guess(Run& run, std::span<const float> logits);

  nn::SequenceModel& model_;
  std::size_t vocab_size_;
  BlockManager blocks_;
  std::unordered_map<std::uint64_t, State> states_;
  std::uint64_t turn_ = 0;
  std::vector<Run> runs_;
  std::vector<Run*> active_;
  nn::Batch batch_;
  std::vector<float> logits_;
  SamplerScratch scratch_;
};

}  // namespace mistral::engine
