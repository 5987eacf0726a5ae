// A text under normalisation that remembers where each of its bytes came from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/regex.h"

namespace mistral::text {

// A stretch of the original text, in bytes.
struct Origin {
  std::uint32_t begin;
  std::uint32_t end;
};

// One character of a new text: it replaces the next old one (change 0), replaces it and swallows
// -change more (change < 0), or is new (change > 0) and shares the origin of what stands before.
struct CharacterChange {
  char32_t character;
  int change;
};

class AlignedText {
 public:
  enum class Tracking { kOff, kOn };

  AlignedText(Tracking tracking) : tracking_(tracking) {}  // empty, to be built
  // `text` is valid UTF-8 and begins at byte `offset` of the original.
  AlignedText(std::string text, std::size_t offset, Tracking tracking);

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] Tracking tracking() const { return tracking_; }
  [[nodiscard]] bool tracked() const { return tracking_ == Tracking::kOn; }
  // Where the non-empty stretch [begin, end) came from. Requires tracking.
  [[nodiscard]] Origin origin(std::size_t begin, std::size_t end) const {
    return {origins_[begin].begin, origins_[end - 1].end};
  }

  // Replaces the whole text by `changes`, the first `skipped` old characters being left out.
  void transform(const std::vector<CharacterChange>& changes, std::size_t skipped = 0);
  // Keeps the characters for which `keep` is true.
  template <typename Keep>
  void filter(Keep&& keep);
  // Replaces characters one to one.
  template <typename Map>
  void map(Map&& map);
  // Replaces each of `matches` (in order, not overlapping) by `content`, which takes the origin of
  // the last byte that it replaces.
  void replace(const std::vector<ByteRange>& matches, std::string_view content);
  // Puts `content` before the first character, whose origin it shares. No effect on empty text.
  void prepend(std::string_view content);
  // Keeps the bytes [begin, end).
  void trim(std::size_t begin, std::size_t end);

  // For building: appends a part of another text, or new text with the origin of a byte of it.
  void append(const AlignedText& other, std::size_t begin, std::size_t end);
  void append_new(std::string_view content, const AlignedText& other, std::size_t at);
  void reserve(std::size_t bytes);

 private:
  std::string text_;
  std::vector<Origin> origins_;  // one for each byte, if tracked
  Tracking tracking_;
};

}  // namespace mistral::text

#include "text/tokenizer/aligned_text_inl.h"
