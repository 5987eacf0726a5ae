// Vocabularies of GGUF files from any bytes. The input is lines: the model, the split rule, a
// text to encode, then tokens as "<type digit><score digit><text>", and merges after an empty line.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/log.h"
#include "formats/gguf.h"
#include "fuzz/tokenizer_round_trip.h"
#include "text/tokenizer/tokenizer.h"

namespace {

std::string_view next_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mistral;
  using formats::GgufArray;
  using formats::GgufType;
  static const bool quiet = (log::set_level("off"), true);
  static_cast<void>(quiet);
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  formats::GgufMetadata gguf;
  gguf.add({"tokenizer.ggml.model", {GgufType::kString, next_line(rest)}});
  gguf.add({"tokenizer.ggml.pre", {GgufType::kString, next_line(rest)}});
  const std::string_view sample = next_line(rest);
  std::vector<std::string_view> tokens;
  std::vector<double> scores;
  std::vector<std::int64_t> types;
  while (!rest.empty()) {
    const std::string_view line = next_line(rest);
    if (line.empty()) break;
    types.push_back(line[0] - '0');
    scores.push_back(line.size() > 1 ? -static_cast<double>(line[1]) : 0.0);
    tokens.push_back(line.size() > 2 ? line.substr(2) : std::string_view());
  }
  std::vector<std::string_view> merges;
  while (!rest.empty()) merges.push_back(next_line(rest));
  gguf.add({"tokenizer.ggml.tokens", {GgufType::kArray, GgufArray{GgufType::kString, tokens}}});
  gguf.add({"tokenizer.ggml.scores", {GgufType::kArray, GgufArray{GgufType::kF32, scores}}});
  gguf.add({"tokenizer.ggml.token_type", {GgufType::kArray, GgufArray{GgufType::kI32, types}}});
  gguf.add({"tokenizer.ggml.merges", {GgufType::kArray, GgufArray{GgufType::kString, merges}}});
  try {
    const auto tokenizer = text::load_gguf_tokenizer(gguf);
    fuzz::round_trip(*tokenizer, sample);
  } catch (const Error&) {
    // Damaged vocabularies are refused; anything else is a defect.
  }
  return 0;
}
