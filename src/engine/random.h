// Random numbers for sampling: a function of a seed and a counter, so that an answer can be
// reproduced whatever else ran beside it.
#pragma once

#include <cstdint>

namespace mistral::engine {

// What a number decides. Decisions about the same token are independent of each other.
enum class RandomStream : std::uint64_t {
  kDraw = 0,  // which token
  kXtc,       // whether top choices are excluded
  kDraft,     // which token a draft proposes
  kAccept,    // whether a proposed token is accepted
  kResidual,  // what comes in place of a rejected one
};

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection that scatters nearby inputs.
[[nodiscard]] constexpr std::uint64_t scatter(std::uint64_t x) {
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

// Uniform in [0, 1) with 53 bits; independent for different counters, streams and seeds.
[[nodiscard]] constexpr double uniform(std::uint64_t seed, std::uint64_t counter,
                                       RandomStream stream = RandomStream::kDraw) {
  constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15U;
  const std::uint64_t key = scatter(scatter(seed + kStep) + static_cast<std::uint64_t>(stream));
  return static_cast<double>(scatter(key + (counter + 1) * kStep) >> 11U) * 0x1.0p-53;
}

}  // namespace mistral::engine
