// The "normalizer" of a tokenizer.json: what happens to a text before it is cut into words.
#pragma once

#include <memory>
#include <string>

#include "text/tokenizer/aligned_text.h"
#include "text/tokenizer/json_reader.h"

namespace mistral::text {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void normalize(AlignedText& text) const = 0;
};

// NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Replace, Prepend, BertNormalizer, Nmt,
// Precompiled, ByteLevel, Sequence. Throws Error naming the entry; `where` is its path.
[[nodiscard]] std::unique_ptr<Normalizer> make_normalizer(const JsonValue& json,
                                                          const std::string& where);

}  // namespace mistral::text
