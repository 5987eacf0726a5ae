// Templates of aligned_text.h.
#pragma once

#include "text/tokenizer/aligned_text.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {

template <typename Keep>
void AlignedText::filter(Keep&& keep) {
  AlignedText kept(tracking_);
  kept.reserve(text_.size());
  for (std::size_t begin = 0; begin < text_.size();) {
    const utf8::Character c = utf8::decode(std::string_view(text_).substr(begin));
    if (keep(c.code_point)) kept.append(*this, begin, begin + c.length);
    begin += c.length;
  }
  *this = std::move(kept);
}

template <typename Map>
void AlignedText::map(Map&& map) {
  AlignedText mapped(tracking_);
  mapped.reserve(text_.size());
  std::string character;
  for (std::size_t begin = 0; begin < text_.size();) {
    const utf8::Character c = utf8::decode(std::string_view(text_).substr(begin));
    character.clear();
    utf8::append(map(c.code_point), character);
    mapped.append_new(character, *this, begin);
    begin += c.length;
  }
  *this = std::move(mapped);
}

}  // namespace mistral::text
