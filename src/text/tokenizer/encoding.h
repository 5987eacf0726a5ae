// An encoded text with all that the Hugging Face library reports about it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mistral/types.h"

namespace mistral::text {

struct TruncationOptions {
  enum class Direction { kLeft, kRight };
  enum class Strategy { kLongestFirst, kOnlyFirst, kOnlySecond };
  Direction direction = Direction::kRight;
  Strategy strategy = Strategy::kLongestFirst;
  std::size_t max_length = 512;
  std::size_t stride = 0;  // tokens that neighbouring parts share
};

struct PaddingOptions {
  enum class Direction { kLeft, kRight };
  Direction direction = Direction::kRight;
  std::optional<std::size_t> length;  // unset: the longest of the batch
  std::size_t multiple_of = 0;        // 0: no rounding
  TokenId id = 0;
  std::uint32_t type_id = 0;
  std::string token = "[PAD]";
};

struct Encoding {
  struct Offsets {
    std::size_t begin;  // in Unicode code points of the original text
    std::size_t end;
    friend bool operator==(const Offsets&, const Offsets&) = default;
  };

  // One entry for each token.
  std::vector<TokenId> ids;
  std::vector<std::string> tokens;
  std::vector<Offsets> offsets;
  std::vector<std::uint32_t> type_ids;
  std::vector<std::uint8_t> special_tokens_mask;  // 1: added by the post-processor or padding
  std::vector<std::uint8_t> attention_mask;       // 0: padding

  std::vector<Encoding> overflowing;  // the parts that truncation cut off

  [[nodiscard]] std::size_t size() const { return ids.size(); }
  void push_back(TokenId id, std::string token, Offsets offsets_of, std::uint32_t type_id,
                 bool special);
  [[nodiscard]] Encoding slice(std::size_t begin, std::size_t end) const;
  void set_type_ids(std::uint32_t type_id) { type_ids.assign(ids.size(), type_id); }

  // Puts `other` behind, combining the overflowing parts of both.
  void append(const Encoding& other);
  // Throws Error (kInvalidArgument) when the stride is not below `max_length`.
  void truncate(std::size_t max_length, std::size_t stride, TruncationOptions::Direction direction);
  void pad(std::size_t length, const PaddingOptions& options);

 private:
  void append_tokens(const Encoding& other);
};

// Throws Error (kInvalidArgument) when the strategy cannot reach the length.
void truncate_pair(Encoding& first, Encoding* second, const TruncationOptions& options);
void pad_batch(std::vector<Encoding>& batch, const PaddingOptions& options);

}  // namespace mistral::text
