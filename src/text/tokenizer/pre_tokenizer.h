// The "pre_tokenizer" of a tokenizer.json: cuts text into the words that the model encodes.
#pragma once

#include <memory>
#include <string>

#include "text/tokenizer/json_reader.h"
#include "text/tokenizer/pieces.h"

namespace mistral::text {

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(Pieces& pieces) const = 0;
  // The result depends on where in the original text a piece begins.
  [[nodiscard]] virtual bool needs_origins() const { return false; }
};

// ByteLevel, Metaspace, Split, Whitespace, WhitespaceSplit, BertPreTokenizer, Punctuation, Digits,
// CharDelimiterSplit, UnicodeScripts, FixedLength, Sequence. Throws Error naming the entry.
[[nodiscard]] std::unique_ptr<PreTokenizer> make_pre_tokenizer(const JsonValue& json,
                                                               const std::string& where);

// Metaspace as files of all ages describe it; the decoder of that name shares it.
struct MetaspaceOptions {
  enum class Prepend { kAlways, kFirst, kNever };
  std::string replacement = "\xE2\x96\x81";
  Prepend prepend = Prepend::kAlways;
  bool split = true;
};
[[nodiscard]] MetaspaceOptions read_metaspace(const JsonReader& reader);

}  // namespace mistral::text
