// Any bytes as tokenizer.json; what loads must encode and decode any text.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "core/log.h"
#include "text/tokenizer/hf_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mistral;
  using text::HfTokenizer;
  static const bool quiet = (log::set_level("off"), true);
  static_cast<void>(quiet);
  // The part behind the first zero byte is the text to encode.
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = input.find('\0');
  const std::string_view json = input.substr(0, zero);
  const std::string_view sample = zero == std::string_view::npos
                                      ? std::string_view("Hello  w\xC3\xB6rld\n<s>'s \xF0\x9F 12")
                                      : input.substr(zero + 1);
  try {
    const auto tokenizer = HfTokenizer::parse(json);
    const auto ids = tokenizer->encode(sample);
    static_cast<void>(tokenizer->decode(ids, false));
    static_cast<void>(tokenizer->encode_full({sample, sample}, {}));
    text::Detokenizer detokenizer(*tokenizer, true);
    for (const TokenId id : ids) static_cast<void>(detokenizer.push(id));
    static_cast<void>(detokenizer.finish());
  } catch (const Error&) {
    // Damaged files are refused; anything else is a defect.
  }
  return 0;
}
