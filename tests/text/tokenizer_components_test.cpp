// Single parts of tokenizer.json pipelines against the reference library
// (golden/tokenizer/components).
#include <gtest/gtest.h>

#include "text/tokenizer/hf_tokenizer.h"
#include "tokenizer_cases.h"

namespace mistral::text {
namespace {

std::vector<Json> lines(const char* name) {
  return test::read_json_lines(test::golden_dir() / "tokenizer/components" / name);
}

JsonValue value_of(const Json& json) {
  return JsonValue::parse(json.dump());
}

TEST(TokenizerComponents, Normalizers) {
  std::size_t cases = 0;
  for (const Json& line : lines("normalizers.jsonl")) {
    const auto normalizer = make_normalizer(value_of(line["normalizer"]), "normalizer");
    for (const Json& expected : line["cases"]) {
      SCOPED_TRACE(line["normalizer"].dump().substr(0, 200) + expected.dump());
      for (const auto tracking : {AlignedText::Tracking::kOff, AlignedText::Tracking::kOn}) {
        AlignedText text(expected[0].get<std::string>(), 0, tracking);
        normalizer->normalize(text);
        EXPECT_EQ(expected[1], text.text());
      }
      ++cases;
    }
  }
  EXPECT_GT(cases, 0U);
}

TEST(TokenizerComponents, PreTokenizers) {
  std::size_t cases = 0;
  for (const Json& line : lines("pre_tokenizers.jsonl")) {
    const auto pre_tokenizer = make_pre_tokenizer(value_of(line["pre_tokenizer"]), "pre_tokenizer");
    for (const Json& expected : line["cases"]) {
      const auto input = expected[0].get<std::string>();
      SCOPED_TRACE(line["pre_tokenizer"].dump() + expected.dump());
      Pieces pieces(AlignedText(input, 0, AlignedText::Tracking::kOn), {{0, input.size(), -1}});
      pre_tokenizer->apply(pieces);
      Json found = Json::array();
      for (const Pieces::Piece& piece : pieces.list()) {
        if (piece.begin == piece.end) continue;
        const Origin origin = pieces.all().origin(piece.begin, piece.end);
        const auto characters = [&](std::size_t bytes) {
          return utf8::count_characters(std::string_view(input).substr(0, bytes));
        };
        found.push_back(
            {std::string(pieces.text(piece)), {characters(origin.begin), characters(origin.end)}});
      }
      EXPECT_EQ(expected[1], found);
      ++cases;
    }
  }
  EXPECT_GT(cases, 0U);
}

// Characters whose script newer versions of Unicode have changed: tokenizers were trained with
// version 9.
TEST(TokenizerComponents, ScriptsAreThoseOfUnicode9) {
  const auto pre_tokenizer =
      make_pre_tokenizer(value_of({{"type", "UnicodeScripts"}}), "pre_tokenizer");
  const auto pieces_of = [&](const std::string& input) {
    Pieces pieces(AlignedText(input, 0, AlignedText::Tracking::kOn), {{0, input.size(), -1}});
    pre_tokenizer->apply(pieces);
    std::vector<std::string> found;
    for (const Pieces::Piece& piece : pieces.list()) {
      if (piece.begin != piece.end) found.emplace_back(pieces.text(piece));
    }
    return found;
  };
  using Texts = std::vector<std::string>;
  const std::string armenian = "\u0561";
  EXPECT_EQ(pieces_of(armenian + "\u0589" + armenian), (Texts{armenian, "\u0589", armenian}));
  const std::string arabic = "\u0628";
  EXPECT_EQ(pieces_of(arabic + "\u061C" + arabic), (Texts{arabic, "\u061C", arabic}));
  EXPECT_EQ(pieces_of("\u0915\u0953\u0954\u0915!"), (Texts{"\u0915\u0953\u0954\u0915", "!"}));
}

TEST(TokenizerComponents, Decoders) {
  std::size_t cases = 0;
  for (const Json& line : lines("decoders.jsonl")) {
    const auto decoder = make_decoder(value_of(line["decoder"]), "decoder");
    for (const Json& expected : line["cases"]) {
      SCOPED_TRACE(line["decoder"].dump() + expected.dump());
      std::string text;
      for (const std::string& part : decoder->decode(expected[0].get<std::vector<std::string>>())) {
        text += part;
      }
      EXPECT_EQ(expected[1], text);
      ++cases;
    }
  }
  EXPECT_GT(cases, 0U);
}

TEST(TokenizerComponents, PostProcessors) {
  const Json vocabulary =
      Json::parse(test::read_file(test::golden_dir() / "tokenizer/components/post_vocab.json"));
  std::size_t cases = 0;
  for (const Json& line : lines("post_processors.jsonl")) {
    Json pipeline;
    pipeline["pre_tokenizer"] = {{"type", "WhitespaceSplit"}};
    pipeline["model"] = {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", "[UNK]"}};
    pipeline["post_processor"] = line["post_processor"];
    const auto tokenizer = HfTokenizer::parse(pipeline.dump());
    for (const Json& expected : line["cases"]) {
      SCOPED_TRACE(line["post_processor"].dump() + expected.dump());
      const auto first = expected["a"].get<std::string>();
      std::optional<std::string> second;
      if (!expected["b"].is_null()) second = expected["b"].get<std::string>();
      const EncodeOptions options{.add_special = expected["add_special_tokens"].get<bool>()};
      test::expect_encoding(expected, tokenizer->encode_full({first, second}, {.encode = options}));
      if (!second) {
        EXPECT_EQ(expected["ids"].get<std::vector<TokenId>>(), tokenizer->encode(first, options));
      }
      ++cases;
    }
  }
  EXPECT_GT(cases, 0U);
}

}  // namespace
}  // namespace mistral::text
