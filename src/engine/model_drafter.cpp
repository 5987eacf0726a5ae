#include "engine/model_drafter.h"

#include <algorithm>

namespace mistral::engine {

ModelDrafter::ModelDrafter(nn::SequenceModel& model, std::int32_t vocab_size)
    : model_(model),
      vocab_size_(static_cast<std::size_t>(std::min(vocab_size, model.vocab_size()))),
      blocks_(model.cache_groups(), model.block_size(), model.cache_bytes(),
              {.rope_key = [&model](std::int32_t length) { return model.rope_key(length); }}) {}

void ModelDrafter::forget(std::uint64_t sequence) noexcept {
  const auto it = states_.find(sequence);
  if (it == states_.end()) return;
  blocks_.release(it->second.blocks);
  states_.erase(it);
}

void ModelDrafter::propose(std::span<DraftRequest> requests) {
  ++turn_;
  runs_.clear();
  runs_.reserve(requests.size());
  for (DraftRequest& request : requests) prepare(request);
  active_.clear();
  for (Run& run : runs_) active_.push_back(&run);
  while (!active_.empty()) {
    compute(active_);
    std::erase_if(active_, [](const Run* run) {
      return run->state == nullptr ||
             static_cast<std::int32_t>(run->request->draft->tokens.size()) >= run->request->wanted;
    });
  }
}

void ModelDrafter::prepare(DraftRequest& request) {
  request.draft->clear();
  const auto longest = static_cast<std::size_t>(model_.context_length());
  if (request.wanted < 1 || request.context.size() + 1 >= longest) return;
  State& state = states_[request.sequence];
  state.used = turn_;
  // What it computed for guesses that turned out wrong is computed again.
  const auto [cached, given] = std::ranges::mismatch(state.tokens, request.context);
  std::size_t common = static_cast<std::size_t>(cached - state.tokens.begin());
  common = std::min(common, request.context.size() - 1);
  state.tokens.resize(common);
  request.wanted = static_cast<std::int32_t>(std::min<std::size_t>(
      static_cast<std::size_t>(request.wanted), longest - 1 - request.context.size()));
  Run& run = runs_.emplace_back();
  run.request = &request;
  run.state = &state;
  run.tokens.assign(request.context.begin(), request.context.end());
}

// Runs the model over what the runs have not computed, as far as a step reaches, and guesses one
// token for each run whose tokens are all computed then.
void ModelDrafter::compute(std::vector<Run*>& runs) {
  batch_.clear();
  std::int32_t left = model_.max_batch_rows();
  std::vector<std::pair<Run*, bool>> planned;
  for (Run* run : runs) {
    if (left == 0) break;
    State& state = *run->state;
    const auto computed = static_cast<std::int64_t>(state.tokens.size());
    const auto length = static_cast<std::int64_t>(run->tokens.size());
    const auto count = static_cast<std::int32_t>(std::min<std::int64_t>(left, length - computed));
    // Guesses may be taken back, so what only they do not see is still needed.
    const auto said = static_cast<std::int64_t>(run->request->context.size());
    blocks_.release_unseen(state.blocks, std::min(computed, said - 1));
    if (!make_room(state, computed + count)) {
      run->state = nullptr;  // no guess: the cache is full of sequences that guess in this turn
      continue;
    }
    nn::BatchSequence& entry = batch_.sequences.emplace_back();
    entry.first_row = batch_.rows();
    entry.row_count = count;
    entry.first_position = static_cast<std::int32_t>(computed);
    entry.rope_length = static_cast<std::int32_t>(run->request->prompt_length);
    entry.block_tables = state.blocks.groups;
    const auto first = run->tokens.begin() + computed;
    batch_.tokens.insert(batch_.tokens.end(), first, first + count);
    if (computed + count == length) batch_.logit_rows.push_back(batch_.rows() - 1);
    left -= count;
    planned.emplace_back(run, computed + count == length);
  }
  if (planned.empty()) return;
  const auto vocab = static_cast<std::size_t>(model_.vocab_size());
  if (logits_.size() < batch_.logit_rows.size() * vocab) {
    logits_.resize(batch_.logit_rows.size() * vocab);
  }
  model_.forward(batch_, std::span(logits_).first(batch_.logit_rows.size() * vocab));
  std::size_t row = 0;
  for (std::size_t i = 0; i < planned.size(); ++i) {
    Run& run = *planned[i].first;
    const auto end =
        run.state->tokens.size() + static_cast<std::size_t>(batch_.sequences[i].row_count);
    run.state->tokens.assign(run.tokens.begin(),
                             run.tokens.begin() + static_cast<std::ptrdiff_t>(end));
    if (planned[i].second) guess(run, std::span(logits_).subspan(row++ * vocab, vocab_size_));
  }
}

void ModelDrafter::guess(Run& run, std::span<const float> logits) {
  Draft& draft = *run.request->draft;
  const Sampler& sampler = *run.request->sampler;
  Distribution& distribution = draft.distributions.emplace_back();
  run.request->sampler->distribution(logits, run.tokens, scratch_, distribution);
  const TokenId token = distribution.draw(sampler.random(run.tokens.size(), RandomStream::kDraft));
  run.tokens.push_back(token);
  draft.tokens.push_back(token);
}

// Room for the tokens, at the expense of sequences that did not guess for longest.
bool ModelDrafter::make_room(State& state, std::int64_t tokens) {
  while (!blocks_.grow(state.blocks, tokens)) {
    const auto idle =
        std::ranges::min_element(states_, {}, [](const auto& entry) { return entry.second.used; });
    if (idle == states_.end() || idle->second.used == turn_) return false;
    blocks_.release(idle->second.blocks);
    states_.erase(idle);
  }
  return true;
}

}  // namespace mistral::engine
