// Any bytes as config.json: they become the description of a decoder, by what the config says and
// by every family's reading of it, or give an Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "core/error.h"
#include "core/log.h"
#include "fuzz/allocation_limit.h"
#include "models/registry.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mistral;
  static const bool quiet = (log::set_level("off"), true);
  static_cast<void>(quiet);
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const fuzz::AllocationLimit limit(bytes);
  try {
    const auto config = models::Config::parse(bytes, "config.json");
    try {
      static_cast<void>(models::family_of(config));
    } catch (const Error&) {
    }
    for (const models::TextFamily* family : models::text_families()) {
      try {
        const nn::DecoderSpec spec = family->from_config(config);
        if (spec.layers.empty() || spec.hidden_size < 1 || spec.vocab_size < 1) std::abort();
      } catch (const Error&) {
      }
    }
    // Of generation_config.json.
    static_cast<void>(config.integers("eos_token_id"));
  } catch (const Error&) {
  }
  return 0;
}
