// Any bytes as a SentencePiece model; what loads must encode and decode any text.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "core/log.h"
#include "fuzz/tokenizer_round_trip.h"
#include "text/tokenizer/sentencepiece_model.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mistral;
  static const bool quiet = (log::set_level("off"), true);
  static_cast<void>(quiet);
  // The part behind the last newline is the text to encode.
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = input.rfind('\n');
  const std::string_view sample = line == std::string_view::npos
                                      ? std::string_view("Hello  w\xC3\xB6")
                                      : input.substr(line + 1);
  try {
    const auto tokenizer = text::parse_sentencepiece(input.substr(0, line), {});
    fuzz::round_trip(*tokenizer, sample);
  } catch (const Error&) {
    // Damaged models are refused; anything else is a defect.
  }
  return 0;
}
