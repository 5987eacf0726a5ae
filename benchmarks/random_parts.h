// What random models are made of, whatever the format of their files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "benchmarks/random_model.h"
#include "tensor/dtype.h"

namespace mistral::benchmarks {

// Throws Error: kUnsupported for a type that cannot be written, kInvalidArgument for a shape that
// cannot be.
void check_shape(const RandomModelShape& shape, DType type);

// A sound byte-level BPE: all bytes, then pairs of them that merge, then the end token.
struct RandomVocabulary {
  std::vector<std::string> tokens;  // by id, in the characters that stand for bytes
  std::vector<std::string> merges;  // "left right"
};
[[nodiscard]] RandomVocabulary random_vocabulary(std::int64_t size);

// Rows put together from a stock of encoded pieces, drawn at random: to draw and encode every
// weight would take minutes. A piece is a block, or as many plain numbers.
class RandomRows {
 public:
  RandomRows(DType type, std::uint64_t seed);
  // Whether all could be written is left to the state of `out`.
  void write(std::ofstream& out, std::int64_t rows, std::int64_t cols);

 private:
  static constexpr std::size_t kPieces = 1024;
  static constexpr std::int64_t kPieceNumbers = 32;
  DType type_;
  std::size_t piece_bytes_ = 0;
  std::mt19937_64 generator_;
  std::vector<std::byte> stock_;
};

}  // namespace mistral::benchmarks
