#include "text/tokenizer/aligned_text.h"

#include <algorithm>

namespace mistral::text {

AlignedText::AlignedText(std::string text, std::size_t offset, Tracking tracking)
    : text_(std::move(text)), tracking_(tracking) {
  if (!tracked()) return;
  origins_.reserve(text_.size());
  for (std::size_t begin = 0; begin < text_.size();) {
    const std::uint32_t length = utf8::length_of(text_[begin]);
    const auto first = static_cast<std::uint32_t>(offset + begin);
    origins_.insert(origins_.end(), length, {first, first + length});
    begin += length;
  }
}

void AlignedText::reserve(std::size_t bytes) {
  text_.reserve(bytes);
  if (tracked()) origins_.reserve(bytes);
}

void AlignedText::transform(const std::vector<CharacterChange>& changes, std::size_t skipped) {
  AlignedText result(tracking_);
  result.reserve(text_.size() + text_.size() / 4);
  std::size_t position = 0;  // in the old text: what is still to be replaced
  const auto skip = [&](std::size_t characters) {
    for (; characters > 0 && position < text_.size(); --characters) {
      position += utf8::length_of(text_[position]);
    }
  };
  skip(skipped);
  for (const CharacterChange& change : changes) {
    Origin origin{0, 0};
    if (tracked()) {
      const std::size_t index = change.change > 0 ? position - 1 : position;
      if (position > 0 || change.change <= 0) {
        origin = origins_.empty() ? origin : origins_[std::min(index, origins_.size() - 1)];
      }
    }
    if (change.change <= 0) skip(1 + static_cast<std::size_t>(-change.change));
    const std::size_t size = result.text_.size();
    utf8::append(change.character, result.text_);
    if (tracked()) {
      result.origins_.insert(result.origins_.end(), result.text_.size() - size, origin);
    }
  }
  *this = std::move(result);
}

void AlignedText::replace(const std::vector<ByteRange>& matches, std::string_view content) {
  if (matches.empty()) return;
  AlignedText result(tracking_);
  result.reserve(text_.size() + matches.size() * content.size());
  std::size_t done = 0;
  for (const ByteRange& match : matches) {
    result.append(*this, done, match.begin);
    if (match.end > 0) {
      result.append_new(content, *this, match.end - 1);
    } else {
      result.text_ += content;
      if (tracked()) result.origins_.insert(result.origins_.end(), content.size(), {0, 0});
    }
    done = match.end;
  }
  result.append(*this, done, text_.size());
  *this = std::move(result);
}

void AlignedText::prepend(std::string_view content) {
  if (text_.empty()) return;
  if (tracked()) origins_.insert(origins_.begin(), content.size(), Origin(origins_.front()));
  text_.insert(0, content);
}

void AlignedText::trim(std::size_t begin, std::size_t end) {
  text_ = text_.substr(begin, end - begin);
  if (!tracked()) return;
  origins_.erase(origins_.begin() + static_cast<std::ptrdiff_t>(end), origins_.end());
  origins_.erase(origins_.begin(), origins_.begin() + static_cast<std::ptrdiff_t>(begin));
}

void AlignedText::append(const AlignedText& other, std::size_t begin, std::size_t end) {
  text_.append(other.text_, begin, end - begin);
  if (tracked()) {
    origins_.insert(origins_.end(), other.origins_.begin() + static_cast<std::ptrdiff_t>(begin),
                    other.origins_.begin() + static_cast<std::ptrdiff_t>(end));
  }
}

void AlignedText::append_new(std::string_view content, const AlignedText& other, std::size_t at) {
  text_ += content;
  if (tracked()) origins_.insert(origins_.end(), content.size(), Origin(other.origins_[at]));
}

}  // namespace mistral::text
