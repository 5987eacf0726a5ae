#include "benchmarks/random_parts.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "core/error.h"
#include "quant/quantize.h"

namespace mistral::benchmarks {

namespace {

constexpr float kDeviation = 0.02F;
constexpr std::int64_t kByteTokens = 256;
constexpr std::int64_t kMostTokens = kByteTokens + kByteTokens * kByteTokens + 1;

std::string utf8(int code) {  // below U+0800
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

// How a byte-level BPE writes each byte: printable ones of Latin-1 as they are, the others as the
// characters from U+0100 on.
std::vector<std::string> byte_characters() {
  std::vector<std::string> characters;
  int next = 0x100;
  for (int byte = 0; byte < kByteTokens; ++byte) {
    const bool printable =
        (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    characters.push_back(utf8(printable ? byte : next++));
  }
  return characters;
}

}  // namespace

void check_shape(const RandomModelShape& shape, DType type) {
  const auto refuse = [](const std::string& what) {
    throw make_error(ErrorKind::kInvalidArgument, "random model: {}", what);
  };
  constexpr std::int64_t kMost = std::int64_t{1} << 20U;
  for (const std::int64_t size : {shape.layers, shape.hidden, shape.feed_forward, shape.heads,
                                  shape.kv_heads, shape.head_dim}) {
    if (size < 1 || size > kMost) refuse(fmt::format("sizes are 1 to {}, not {}", kMost, size));
  }
  if (shape.context < 1 || shape.context > std::int64_t{1} << 30U) {
    refuse(fmt::format("a context of {} tokens", shape.context));
  }
  if (shape.heads % shape.kv_heads != 0) {
    refuse(fmt::format("{} heads do not share {} heads of the cache evenly", shape.heads,
                       shape.kv_heads));
  }
  if (shape.head_dim % 2 != 0) refuse("the size of a head must be even");
  if (shape.vocab <= kByteTokens || shape.vocab > kMostTokens) {
    refuse(fmt::format("a vocabulary of {} tokens; expected {} to {}", shape.vocab, kByteTokens + 1,
                       kMostTokens));
  }
  constexpr std::int64_t kMostExperts = 1024;
  if (shape.experts < 0 || shape.experts > kMostExperts ||
      (shape.experts > 0 && (shape.experts_used < 1 || shape.experts_used > shape.experts))) {
    refuse(fmt::format("{} of {} experts; expected at most {}", shape.experts_used, shape.experts,
                       kMostExperts));
  }
  if (!quant::can_quantize(type) || info(type).ggml_id < 0) {
    throw make_error(ErrorKind::kUnsupported, "random model: weights of type {} cannot be written",
                     name(type));
  }
  const std::int64_t block = info(type).block_elements;
  for (const std::int64_t cols : {shape.hidden, shape.feed_forward, shape.heads * shape.head_dim}) {
    if (cols % block != 0) {
      refuse(fmt::format("rows of {} weights are no whole blocks of {} ({})", cols, block,
                         name(type)));
    }
  }
}

RandomVocabulary random_vocabulary(std::int64_t size) {
  const std::vector<std::string> bytes = byte_characters();
  RandomVocabulary vocabulary;
  vocabulary.tokens = bytes;
  // Pairs of letters first; they occur in texts.
  constexpr std::int64_t kFirst = 'a';
  for (std::int64_t i = 0; static_cast<std::int64_t>(vocabulary.tokens.size()) < size - 1; ++i) {
    const std::string& left = bytes[static_cast<std::size_t>((kFirst + i / 256) % 256)];
    const std::string& right = bytes[static_cast<std::size_t>((kFirst + i % 256) % 256)];
    vocabulary.tokens.push_back(left + right);
    vocabulary.merges.push_back(left + " " + right);
  }
  vocabulary.tokens.emplace_back("<|endoftext|>");
  return vocabulary;
}

RandomRows::RandomRows(DType type, std::uint64_t seed) : type_(type), generator_(seed) {
  const std::int64_t block = info(type).block_elements;
  const std::int64_t piece = block > 1 ? block : kPieceNumbers;
  piece_bytes_ = static_cast<std::size_t>(row_bytes(type, piece));
  std::normal_distribution<float> normal(0.0F, kDeviation);
  std::vector<float> values(kPieces * static_cast<std::size_t>(piece));
  for (float& value : values) value = normal(generator_);
  stock_.resize(kPieces * piece_bytes_);
  quant::quantize_row(type, values.data(), stock_.data(), static_cast<std::int64_t>(values.size()));
}

void RandomRows::write(std::ofstream& out, std::int64_t rows, std::int64_t cols) {
  std::vector<std::byte> row(static_cast<std::size_t>(row_bytes(type_, cols)));
  for (std::int64_t i = 0; i < rows && out; ++i) {
    for (std::size_t at = 0; at < row.size(); at += piece_bytes_) {
      const std::size_t piece = generator_() % kPieces;
      std::memcpy(row.data() + at, stock_.data() + piece * piece_bytes_,
                  std::min(piece_bytes_, row.size() - at));
    }
    out.write(reinterpret_cast<const char*>(row.data()), static_cast<std::streamsize>(row.size()));
  }
}

}  // namespace mistral::benchmarks
