// Codebooks of the formats IQ1_*, IQ2_* and IQ3_*: an index of a block names a vector of eight
// (IQ3_*: four) levels. A code holds two bits (IQ3_*: three) per level, the first element in the
// lowest bits; the k*Levels say what the bits mean.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace mistral::quant {

extern const std::array<std::uint16_t, 256> kIq2XxsCodes;
extern const std::array<std::uint16_t, 512> kIq2XsCodes;
extern const std::array<std::uint16_t, 1024> kIq2SCodes;
extern const std::array<std::uint16_t, 256> kIq3XxsCodes;
extern const std::array<std::uint16_t, 512> kIq3SCodes;
extern const std::array<std::uint16_t, 2048> kIq1Codes;

// No code holds the fourth level of two bits.
inline constexpr std::array<float, 4> kIq1Levels = {-1, 0, 1, 0};
inline constexpr std::array<float, 4> kIq2Levels = {8, 25, 43, 0};
inline constexpr std::array<float, 8> kIq3XxsLevels = {4, 12, 20, 28, 36, 44, 52, 62};
inline constexpr std::array<float, 8> kIq3SLevels = {1, 3, 5, 7, 9, 11, 13, 15};

// Eight signs from the seven that are stored: the number of negative elements is even.
[[nodiscard]] constexpr std::uint8_t even_signs(unsigned stored) {
  const unsigned parity = static_cast<unsigned>(std::popcount(stored & 127U)) & 1U;
  return static_cast<std::uint8_t>((stored & 127U) | parity << 7U);
}

}  // namespace mistral::quant
