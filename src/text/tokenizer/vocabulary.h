// Tokens by id and ids by token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mistral/types.h"

namespace mistral::text {

// Ids may have gaps, but a file must not make us allocate far more than it holds.
inline constexpr TokenId kFreeIds = 1'000'000;

[[nodiscard]] std::uint64_t hash_bytes(std::string_view bytes);

// Texts live in one buffer and the index is an open-addressing table, so that a vocabulary of
// 262k tokens loads in milliseconds. Ids may have gaps; a gap reads as the empty text.
class Vocabulary {
 public:
  void reserve(std::size_t tokens, std::size_t bytes);

  // Gives `text` the id `id`. When the text is known already, the first id keeps standing for
  // it and `id` is only readable; returns false then. Requires that the id is still free.
  bool add(TokenId id, std::string_view text);

  [[nodiscard]] std::optional<TokenId> find(std::string_view text) const {
    const TokenId id = find_id(text);
    return id < 0 ? std::nullopt : std::optional(id);
  }
  // As find(), -1 when unknown.
  [[nodiscard]] TokenId find_id(std::string_view text) const;
  // As find_id() of each, several times as fast for many: their cache misses overlap.
  // `ids` has room for as many.
  void find_ids(std::span<const std::string_view> texts, std::span<TokenId> ids) const;
  // Says that `text` will be added or looked up soon.
  void prefetch(std::string_view text) const;

  // Empty for unknown ids.
  [[nodiscard]] std::string_view text(TokenId id) const {
    if (id < 0 || static_cast<std::size_t>(id) >= texts_.size()) return {};
    const Extent& extent = texts_[static_cast<std::size_t>(id)];
    return std::string_view(bytes_).substr(extent.begin, extent.length);
  }
  [[nodiscard]] bool contains(TokenId id) const {
    return id >= 0 && static_cast<std::size_t>(id) < texts_.size() &&
           texts_[static_cast<std::size_t>(id)].used;
  }

  [[nodiscard]] std::size_t size() const { return texts_.size(); }  // largest id + 1
  [[nodiscard]] std::size_t count() const { return count_; }        // distinct texts
  [[nodiscard]] std::size_t longest() const { return longest_; }    // bytes of the longest text

 private:
  struct Extent {
    std::size_t begin = 0;
    std::uint32_t length = 0;
    bool used = false;
  };
  struct Slot {
    std::uint32_t hash = 0;
    TokenId id = -1;
  };

  // The slot that holds `text`, or the free one where it belongs.
  [[nodiscard]] std::size_t slot_of(std::string_view text, std::uint64_t hash) const;
  void grow(std::size_t slots);

  std::string bytes_;
  std::vector<Extent> texts_;
  std::vector<Slot> slots_;
  std::size_t count_ = 0;
  std::size_t longest_ = 0;
};

}  // namespace mistral::text
