#include "text/tokenizer/vocabulary.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace mistral::text {
namespace {

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

}  // namespace

std::uint64_t hash_bytes(std::string_view bytes) {
  constexpr std::uint64_t kFirst = 0x9E3779B97F4A7C15ULL;
  constexpr std::uint64_t kSecond = 0xD6E8FEB86659FD93ULL;
  std::uint64_t state = mix(bytes.size() ^ kSecond, kFirst);
  while (bytes.size() > 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    state = mix(state ^ word, kFirst);
    bytes.remove_prefix(8);
  }
  std::uint64_t tail = 0;
  if (!bytes.empty()) std::memcpy(&tail, bytes.data(), bytes.size());
  return mix(state ^ tail ^ kSecond, kFirst ^ state);
}

void Vocabulary::reserve(std::size_t tokens, std::size_t bytes) {
  texts_.reserve(tokens);
  bytes_.reserve(bytes);
  const std::size_t slots = std::bit_ceil(std::max<std::size_t>(tokens * 3 / 2, 16));
  if (slots > slots_.size()) grow(slots);
}

void Vocabulary::grow(std::size_t slots) {
  std::vector<Slot> old(slots);
  std::swap(old, slots_);
  for (const Slot& slot : old) {
    if (slot.id < 0) continue;
    std::size_t i = slot.hash & (slots_.size() - 1);
    while (slots_[i].id >= 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = slot;
  }
}

std::size_t Vocabulary::slot_of(std::string_view bytes, std::uint64_t hash) const {
  const auto tag = static_cast<std::uint32_t>(hash);
  std::size_t i = tag & (slots_.size() - 1);
  while (slots_[i].id >= 0 && (slots_[i].hash != tag || text(slots_[i].id) != bytes)) {
    i = (i + 1) & (slots_.size() - 1);
  }
  return i;
}

bool Vocabulary::add(TokenId id, std::string_view text) {
  const auto index = static_cast<std::size_t>(id);
  if (index >= texts_.size()) texts_.resize(index + 1);
  texts_[index] = {bytes_.size(), static_cast<std::uint32_t>(text.size()), true};
  bytes_ += text;
  longest_ = std::max(longest_, text.size());
  if ((count_ + 1) * 4 > slots_.size() * 3) grow(std::max<std::size_t>(slots_.size() * 2, 16));
  const std::uint64_t hash = hash_bytes(text);
  const std::size_t i = slot_of(text, hash);
  if (slots_[i].id >= 0) return false;
  slots_[i] = {static_cast<std::uint32_t>(hash), id};
  ++count_;
  return true;
}

TokenId Vocabulary::find_id(std::string_view text) const {
  if (slots_.empty() || text.size() > longest_) return -1;
  return slots_[slot_of(text, hash_bytes(text))].id;
}

void Vocabulary::prefetch(std::string_view text) const {
  if (slots_.empty()) return;
  const auto tag = static_cast<std::uint32_t>(hash_bytes(text));
  __builtin_prefetch(&slots_[tag & (slots_.size() - 1)]);
}

void Vocabulary::find_ids(std::span<const std::string_view> texts, std::span<TokenId> ids) const {
  if (slots_.empty()) {
    std::fill(ids.begin(), ids.end(), -1);
    return;
  }
  constexpr std::size_t kBlock = 32;
  std::array<std::uint64_t, kBlock> hashes;
  for (std::size_t begin = 0; begin < texts.size(); begin += kBlock) {
    const std::size_t count = std::min(kBlock, texts.size() - begin);
    for (std::size_t i = 0; i < count; ++i) {
      hashes[i] = hash_bytes(texts[begin + i]);
      __builtin_prefetch(&slots_[static_cast<std::uint32_t>(hashes[i]) & (slots_.size() - 1)]);
    }
    // The first slot nearly always is the one; its text is what the last pass compares.
    const auto first_id = [&](std::size_t i) {
      return slots_[static_cast<std::uint32_t>(hashes[i]) & (slots_.size() - 1)].id;
    };
    for (std::size_t i = 0; i < count; ++i) {
      if (first_id(i) >= 0) __builtin_prefetch(&texts_[static_cast<std::size_t>(first_id(i))]);
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (first_id(i) >= 0) __builtin_prefetch(text(first_id(i)).data());
    }
    for (std::size_t i = 0; i < count; ++i) {
      ids[begin + i] =
          texts[begin + i].size() > longest_ ? -1 : slots_[slot_of(texts[begin + i], hashes[i])].id;
    }
  }
}

}  // namespace mistral::text
