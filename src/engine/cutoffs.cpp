#include "engine/cutoffs.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace mistral::engine {
namespace {}  // namespace

double total_weight(const std::vector<Candidate>& tokens) {
  double total = 0;
  for (const Candidate& token : tokens) total += token.weight;
  return total;
}

void keep_top_p(std::vector<Candidate>& tokens, double target, CutoffScratch& scratch) {
  const auto bucket_of = [](const Candidate& token) {
    return std::bit_cast<std::uint32_t>(token.weight) >> CutoffScratch::kBucketShift;
  };
  scratch.bucket_weight_.fill(0);
  for (const Candidate& token : tokens) scratch.bucket_weight_[bucket_of(token)] += token.weight;
  // The bucket in which the walk ends, and the weight before it.
  double before = 0;
  std::size_t bucket = CutoffScratch::kBuckets - 1;
  for (; before + scratch.bucket_weight_[bucket] < target; --bucket) {
    if (bucket == 0) return;
    before += scratch.bucket_weight_[bucket];
  }

  std::vector<Candidate>& edge = scratch.edge_;
  edge.clear();
  for (const Candidate& token : tokens) {
    if (bucket_of(token) == bucket) edge.push_back(token);
  }
  std::sort(edge.begin(), edge.end(), likelier);
  std::size_t kept = 0;
  for (; kept < edge.size() && before < target; ++kept) before += edge[kept].weight;
  if (kept == 0) return;
  const Candidate last = edge[kept - 1];
  std::erase_if(tokens, [&](const Candidate& token) {
    const std::size_t own = bucket_of(token);
    return own != bucket ? own < bucket : likelier(last, token);
  });
}

void keep_above(std::vector<Candidate>& tokens, double floor) {
  if (tokens.empty()) return;
  const Candidate best = *std::min_element(tokens.begin(), tokens.end(), likelier);
  std::erase_if(tokens, [&](const Candidate& token) {
    return !(token.weight > floor) && token.id != best.id;
  });
}

void keep_typical(std::vector<Candidate>& tokens, double p, CutoffScratch& scratch) {
  const double total = total_weight(tokens);
  double entropy = 0;
  for (const Candidate& token : tokens) {
    const double probability = token.weight / total;
    entropy -= probability * std::log(probability);
  }
  std::vector<CutoffScratch::Deviation>& order = scratch.deviations_;
  order.clear();
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const double surprise = -std::log(tokens[i].weight / total);
    order.push_back(
        {.distance = std::abs(surprise - entropy), .weight = tokens[i].weight, .at = i});
  }
  const auto nearer = [](const auto& a, const auto& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.at < b.at;
  };
  // Halves the part in which the walk ends until it is small enough to be sorted.
  constexpr std::ptrdiff_t kSorted = 64;
  const double target = p * total;
  double before = 0;
  auto low = order.begin();
  auto high = order.end();
  while (high - low > kSorted) {
    const auto middle = low + (high - low) / 2;
    std::nth_element(low, middle, high, nearer);
    double half = 0;
    for (auto at = low; at != middle; ++at) half += at->weight;
    if (before + half >= target) {
      high = middle;
    } else {
      before += half;
      low = middle;
    }
  }
  std::sort(low, high, nearer);
  for (; low != high && before < target; ++low) before += low->weight;
  for (auto dropped = low; dropped != order.end(); ++dropped) tokens[dropped->at].weight = 0;
  std::erase_if(tokens, [](const Candidate& token) { return token.weight == 0; });
}

void exclude_top_choices(std::vector<Candidate>& tokens, double threshold) {
  const double floor = threshold * total_weight(tokens);
  const Candidate* least = nullptr;
  int count = 0;
  for (const Candidate& token : tokens) {
    if (token.weight < floor) continue;
    ++count;
    if (least == nullptr || likelier(*least, token)) least = &token;
  }
  if (count < 2) return;
  const TokenId kept = least->id;
  std::erase_if(tokens,
                [&](const Candidate& token) { return token.weight >= floor && token.id != kept; });
}

}  // namespace mistral::engine
