// What a tokenizer that loaded must survive: any text there and back, whole and streamed.
#pragma once

#include <string_view>

#include "text/tokenizer/tokenizer.h"

namespace mistral::fuzz {

inline void round_trip(const text::Tokenizer& tokenizer, std::string_view sample) {
  for (const bool parse_special : {false, true}) {
    const auto ids = tokenizer.encode(sample, {.parse_special = parse_special});
    static_cast<void>(tokenizer.decode(ids, parse_special));
    text::Detokenizer detokenizer(tokenizer, parse_special);
    for (const TokenId id : ids) static_cast<void>(detokenizer.push(id));
    static_cast<void>(detokenizer.finish());
  }
}

}  // namespace mistral::fuzz
