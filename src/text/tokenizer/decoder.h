// The "decoder" of a tokenizer.json: turns tokens back into text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/tokenizer/json_reader.h"

namespace mistral::text {

class Decoder {
 public:
  virtual ~Decoder() = default;

  // The text is the concatenation of the result.
  [[nodiscard]] virtual std::vector<std::string> decode(std::vector<std::string> tokens) const = 0;

  // How a decoder behaves when tokens come one by one.
  enum class Stage {
    kTokens,      // works on each token alone; more decoders may follow
    kFused,       // the same, but what follows sees one text
    kNeighbours,  // a token's text depends on the tokens beside it
  };
  // Given what stands before it in a sequence.
  [[nodiscard]] virtual Stage stage(Stage before) const = 0;
  // Turns one token into the bytes that it contributes; only when stage() is not kNeighbours.
  // `first`: it begins the text.
  virtual void decode_one(std::string& token, bool first) const = 0;
};

// ByteLevel, Metaspace, ByteFallback, Fuse, Strip, Replace, WordPiece, BPEDecoder, CTC, Sequence.
// Throws Error naming the entry.
[[nodiscard]] std::unique_ptr<Decoder> make_decoder(const JsonValue& json,
                                                    const std::string& where);

}  // namespace mistral::text
