// The next token of one sequence over a vocabulary of 151,936: the likeliest, cut-offs, penalties.
//
// Logits are normal with a spread of 2.5 and a few likely tokens on top, as models give them;
// `flat` is the same without those tokens, which leaves cut-offs by probability the most to do.
// The context has 2,000 tokens, some of them repeated.
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "engine/sampler.h"

namespace mistral::engine {
namespace {

constexpr std::size_t kVocab = 151'936;
constexpr std::size_t kContext = 2'000;
constexpr int kRows = 8;  // in turn, so that no row stays in the nearest cache

std::vector<float> row_of(unsigned seed, bool flat) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 2.5F);
  std::vector<float> row(kVocab);
  for (float& logit : row) logit = normal(random);
  if (flat) return row;
  for (int i = 0; i < 40; ++i) row[random() % kVocab] = 14.0F + normal(random);
  return row;
}

std::vector<TokenId> context_of() {
  std::mt19937 random(1);
  std::vector<TokenId> context(kContext);
  for (TokenId& id : context) id = static_cast<TokenId>(random() % 700);
  return context;
}

void sample(benchmark::State& state, const SamplingParams& sampling, bool flat) {
  std::vector<std::vector<float>> rows;
  for (unsigned i = 0; i < kRows; ++i) rows.push_back(row_of(i, flat));
  const std::vector<TokenId> context = context_of();
  SamplerScratch scratch;
  Sampler sampler(sampling, {.seed = 1});
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(sampler.sample(rows[next++ % kRows], context, scratch));
  }
  state.SetItemsProcessed(state.iterations());
}

SamplingParams with(double temperature) {
  SamplingParams sampling;
  sampling.temperature = temperature;
  return sampling;
}

SamplingParams penalties(SamplingParams sampling) {
  sampling.repetition_penalty = 1.1;
  sampling.frequency_penalty = 0.1;
  sampling.presence_penalty = 0.1;
  sampling.dry_multiplier = 0.8;
  for (TokenId id = 0; id < 100; ++id) sampling.logit_bias.emplace_back(id * 1000, 1.0);
  return sampling;
}

void add(const std::string& name, const SamplingParams& sampling) {
  for (const bool flat : {false, true}) {
    benchmark::RegisterBenchmark(
        (name + (flat ? "/flat" : "")).c_str(),
        [sampling, flat](benchmark::State& state) { sample(state, sampling, flat); })
        ->Unit(benchmark::kMicrosecond);
  }
}

void add_all() {
  SamplingParams top_k = with(0.8);
  top_k.top_k = 40;
  SamplingParams top_p = with(0.8);
  top_p.top_p = 0.95;
  SamplingParams min_p = with(0.8);
  min_p.min_p = 0.05;
  SamplingParams together = top_k;
  together.top_p = 0.95;
  together.min_p = 0.05;
  add("greedy", with(0));
  add("greedy_penalties", penalties(with(0)));
  add("temperature", with(0.8));
  add("top_k_40", top_k);
  add("top_p_0.95", top_p);
  add("min_p_0.05", min_p);
  add("top_k_top_p_min_p", together);
  add("all_penalties", penalties(together));
}

const bool kAdded = (add_all(), true);

}  // namespace
}  // namespace mistral::engine
