// Tokenizers over vocabularies made by hand: options, damaged input, large input.
#include "text/tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/json.h"
#include "text/reasoning/reasoning_splitter.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/gguf_pre_tokenizer.h"
#include "text/tokenizer/gguf_vocabulary.h"
#include "text/tokenizer/hf_tokenizer.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Ids = std::vector<TokenId>;

// Key-value pairs of a GGUF file made in memory.
class Metadata {
 public:
  Metadata& add(std::string_view key, const char* text) {
    return put(key, {formats::GgufType::kString, std::string_view(text)});
  }
  Metadata& add(std::string_view key, bool flag) {
    return put(key, {formats::GgufType::kBool, flag});
  }
  Metadata& add(std::string_view key, std::int64_t number) {
    return put(key, {formats::GgufType::kI32, number});
  }
  template <typename T>
  Metadata& add(std::string_view key, formats::GgufType element, std::vector<T> values) {
    return put(key, {formats::GgufType::kArray, formats::GgufArray{element, std::move(values)}});
  }
  Metadata& texts(std::string_view key, std::vector<std::string_view> values) {
    return add(key, formats::GgufType::kString, std::move(values));
  }
  [[nodiscard]] const formats::GgufMetadata& get() const { return metadata_; }

 private:
  Metadata& put(std::string_view key, formats::GgufValue value) {
    metadata_.add({key, std::move(value)});
    return *this;
  }
  formats::GgufMetadata metadata_;
};

constexpr std::int64_t kNormal = 1;
constexpr std::int64_t kUnknown = 2;
constexpr std::int64_t kControl = 3;
constexpr std::int64_t kUserDefined = 4;
constexpr std::int64_t kByte = 6;

// 0 <unk>  1 <s>  2 </s>  3 "▁"  4 a  5 b  6 ab  7 ▁ab  8 <0xC3>  9 <0xA9>  10 <tool>
Metadata sentencepiece() {
  Metadata gguf;
  gguf.add("tokenizer.ggml.model", "llama")
      .texts("tokenizer.ggml.tokens",
             {"<unk>", "<s>", "</s>", "▁", "a", "b", "ab", "▁ab", "<0xC3>", "<0xA9>", "<tool>"})
      .add("tokenizer.ggml.scores", formats::GgufType::kF32,
           std::vector<double>{0, 0, 0, -1, -2, -3, -4, -5, 0, 0, 0})
      .add("tokenizer.ggml.token_type", formats::GgufType::kI32,
           std::vector<std::int64_t>{kUnknown, kControl, kControl, kNormal, kNormal, kNormal,
                                     kNormal, kNormal, kByte, kByte, kUserDefined});
  return gguf;
}

TEST(GgufSentencePiece, MergesByScoreAndFallsBackToBytes) {
  const auto tokenizer = load_gguf_tokenizer(sentencepiece().get());
  EXPECT_THAT(tokenizer->encode("ab"), ElementsAre(1, 7));
  EXPECT_THAT(tokenizer->encode("b", {.add_special = false}), ElementsAre(3, 5));
  EXPECT_THAT(tokenizer->encode("aé"), ElementsAre(1, 3, 4, 8, 9));
  EXPECT_THAT(tokenizer->encode("ü", {.add_special = false}), ElementsAre(3, 8, 0));
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_FALSE(tokenizer->adds_eos());
  EXPECT_EQ(tokenizer->decode(Ids{1, 7, 3, 8, 9}, true), "ab é");
  EXPECT_EQ(tokenizer->decode(Ids{1, 7}, false), "<s> ab");
}

TEST(GgufSentencePiece, HonoursTheFlagsOfTheFile) {
  const auto tokenizer = load_gguf_tokenizer(sentencepiece()
                                                 .add("tokenizer.ggml.add_space_prefix", false)
                                                 .add("tokenizer.ggml.add_bos_token", false)
                                                 .add("tokenizer.ggml.add_eos_token", true)
                                                 .get());
  EXPECT_THAT(tokenizer->encode("ab"), ElementsAre(6, 2));
  EXPECT_EQ(tokenizer->decode(Ids{7}, false), " ab");
}

TEST(GgufSpecialTokens, AreFoundInTextOnlyWhenAsked) {
  const auto tokenizer = load_gguf_tokenizer(sentencepiece().get());
  EXPECT_THAT(tokenizer->encode("<s>a<tool>", {.add_special = false}), ElementsAre(1, 3, 4, 10));
  // User-defined tokens are always found, control tokens only with parse_special.
  const Ids plain = tokenizer->encode("</s><tool>", {.add_special = false, .parse_special = false});
  EXPECT_EQ(plain.back(), 10);
  EXPECT_THAT(plain, ::testing::Not(::testing::Contains(2)));
  EXPECT_TRUE(tokenizer->is_special(1));
  EXPECT_FALSE(tokenizer->is_special(10));
}

// 0-2 bytes of "aé", 3 "b", 4 "ab", 5 control
Metadata byte_pairs() {
  Metadata gguf;
  gguf.add("tokenizer.ggml.model", "gpt2")
      .add("tokenizer.ggml.pre", "gpt-2")
      .texts("tokenizer.ggml.tokens", {"a", "Ã", "©", "b", "ab", "<|im_end|>", "Ġ"})
      .add(
          "tokenizer.ggml.token_type", formats::GgufType::kI32,
          std::vector<std::int64_t>{kNormal, kNormal, kNormal, kNormal, kNormal, kControl, kNormal})
      .texts("tokenizer.ggml.merges", {"a b"});
  return gguf;
}

TEST(GgufBytePairs, MergeByRankAndDecodeBytes) {
  const auto tokenizer = load_gguf_tokenizer(byte_pairs().get());
  EXPECT_THAT(tokenizer->encode("aba ab"), ElementsAre(4, 0, 6, 4));
  EXPECT_THAT(tokenizer->encode("é<|im_end|>"), ElementsAre(1, 2, 5));
  EXPECT_EQ(tokenizer->decode(Ids{4, 1, 2, 5}, true), "abé");
  EXPECT_FALSE(tokenizer->bos());
}

TEST(GgufBytePairs, EveryKnownSplitRuleWorks) {
  // All bytes as tokens, no merges.
  std::vector<std::string> texts;
  for (unsigned byte = 0; byte < 256; ++byte) {
    texts.emplace_back(byte_level::spelling(static_cast<std::uint8_t>(byte)));
    texts.push_back(byte_token_text(static_cast<std::uint8_t>(byte)));
  }
  const std::string_view sample =
      "Hello  W\xC3\xB6rld's 1234 \xE4\xBD\xA0\xE5\xA5\xBD!?\r\n\n  x\t";
  ASSERT_GT(gguf_pre_tokenizer_names().size(), 50U);
  for (const std::string_view name : gguf_pre_tokenizer_names()) {
    SCOPED_TRACE(name);
    Metadata gguf;
    gguf.add("tokenizer.ggml.model", "gpt2")
        .add("tokenizer.ggml.pre", name.data())
        .texts("tokenizer.ggml.tokens", {texts.begin(), texts.end()})
        .add("tokenizer.ggml.add_bos_token", false)
        .texts("tokenizer.ggml.merges", {"a b"});
    const auto tokenizer = load_gguf_tokenizer(gguf.get());
    const Ids ids = tokenizer->encode(sample);
    if (find_gguf_pre_tokenizer(name)->byte_level) {
      ASSERT_EQ(ids.size(), sample.size());
      for (std::size_t i = 0; i < ids.size(); ++i) {
        EXPECT_EQ(ids[i], 2 * static_cast<unsigned char>(sample[i]));
      }
    } else {
      EXPECT_GE(ids.size(), sample.size());
    }
  }
}

TEST(GgufBytePairs, AnUnknownSplitRuleIsNotAnError) {
  Metadata gguf;
  gguf.add("tokenizer.ggml.model", "gpt2")
      .add("tokenizer.ggml.pre", "no such rule")
      .texts("tokenizer.ggml.tokens", {"a", "b"})
      .texts("tokenizer.ggml.merges", {});
  EXPECT_THAT(load_gguf_tokenizer(gguf.get())->encode("ba"), ElementsAre(1, 0));
}

TEST(GgufBytePairs, MergesThroughTextsOutsideTheVocabularyEndAsBytes) {
  Metadata gguf;
  gguf.add("tokenizer.ggml.model", "gpt2")
      .add("tokenizer.ggml.pre", "gpt-2")
      .texts("tokenizer.ggml.tokens", {"a", "b", "c", "abc"})
      .texts("tokenizer.ggml.merges", {"a b", "ab c"});
  const auto tokenizer = load_gguf_tokenizer(gguf.get());
  EXPECT_THAT(tokenizer->encode("abcab"), ElementsAre(3, 0, 1));
}

TEST(GgufVocabulary, RepeatedTextsDoNotBreakLoading) {
  Metadata gguf;
  gguf.add("tokenizer.ggml.model", "llama")
      .texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "▁", "x", "x", ""});
  const auto tokenizer = load_gguf_tokenizer(gguf.get());
  EXPECT_EQ(tokenizer->vocab_size(), 7U);
  EXPECT_THAT(tokenizer->encode("x"), ElementsAre(1, 3, 4));
  EXPECT_EQ(tokenizer->token(5), "x");
}

TEST(GgufVocabulary, SpecialTokensNeverCutCharacters) {
  Metadata gguf;
  gguf.add("tokenizer.ggml.model", "bert")
      .texts("tokenizer.ggml.tokens", {"[UNK]", "\xE4", "▁x"})
      .add("tokenizer.ggml.token_type", formats::GgufType::kI32,
           std::vector<std::int64_t>{kUnknown, kUserDefined, kNormal})
      .add("tokenizer.ggml.unknown_token_id", std::int64_t{0});
  const auto tokenizer = load_gguf_tokenizer(gguf.get());
  EXPECT_THAT(tokenizer->encode("x \xE4\xBD\xA0", {.add_special = false}), ElementsAre(2, 0));
}

// As the original normaliser, which drops what has no place in a text, private use included.
TEST(GgufWordPiece, DropsControlsAndPrivateUse) {
  Metadata gguf;
  gguf.add("tokenizer.ggml.model", "bert")
      .texts("tokenizer.ggml.tokens", {"[UNK]", "▁x", "y"})
      .add("tokenizer.ggml.token_type", formats::GgufType::kI32,
           std::vector<std::int64_t>{kUnknown, kNormal, kNormal})
      .add("tokenizer.ggml.unknown_token_id", std::int64_t{0});
  const auto tokenizer = load_gguf_tokenizer(gguf.get());
  EXPECT_THAT(
      tokenizer->encode("x\xEE\x80\x80y \xF4\x8F\xBF\xBD x\x01\xC2\xAD", {.add_special = false}),
      ElementsAre(1, 2, 1));
}

TEST(GgufVocabulary, SaysWhatIsWrong) {
  const auto message = [](const formats::GgufMetadata& gguf) -> std::string {
    try {
      static_cast<void>(load_gguf_tokenizer(gguf));
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  Metadata unknown;
  unknown.add("tokenizer.ggml.model", "rwkv");
  EXPECT_THAT(message(unknown.get()), HasSubstr("tokenizer.ggml.model"));
  Metadata empty;
  empty.add("tokenizer.ggml.model", "llama");
  EXPECT_THAT(message(empty.get()), HasSubstr("tokenizer.ggml.tokens"));
  Metadata short_scores;
  short_scores.add("tokenizer.ggml.model", "llama")
      .texts("tokenizer.ggml.tokens", {"a", "b"})
      .add("tokenizer.ggml.scores", formats::GgufType::kF32, std::vector<double>{1});
  EXPECT_THAT(message(short_scores.get()), HasSubstr("tokenizer.ggml.scores"));
  Metadata no_merges;
  no_merges.add("tokenizer.ggml.model", "gpt2").texts("tokenizer.ggml.tokens", {"a"});
  EXPECT_THAT(message(no_merges.get()), HasSubstr("tokenizer.ggml.merges"));
}

TEST(Tokenizer, ReadsInvalidUtf8AsReplacementCharacters) {
  const auto tokenizer = load_gguf_tokenizer(sentencepiece().get());
  EXPECT_EQ(tokenizer->encode("a\xC3"), tokenizer->encode("a\xEF\xBF\xBD"));
  EXPECT_EQ(tokenizer->encode("\xF0\x9F\x98 b"), tokenizer->encode("\xEF\xBF\xBD b"));
  EXPECT_EQ(tokenizer->decode(Ids{8, 4}, false),
            "\xEF\xBF\xBD"
            "a");
}

TEST(Tokenizer, TimeIsNotQuadraticInTheText) {
  // Squared, either text would take hours.
  const std::string letters(1'000'000, 'a');
  const std::string lines(300'000, '\n');
  for (const auto& gguf : {sentencepiece(), byte_pairs()}) {
    const auto tokenizer = load_gguf_tokenizer(gguf.get());
    EXPECT_GE(tokenizer->encode(letters, {.add_special = false}).size(), letters.size() / 2);
    static_cast<void>(tokenizer->encode(lines));
  }
}

TEST(Detokenizer, NeverPrintsAPartOfACharacter) {
  const auto tokenizer = load_gguf_tokenizer(sentencepiece().get());
  Detokenizer detokenizer(*tokenizer, true);
  EXPECT_EQ(detokenizer.push(1), "");
  EXPECT_EQ(detokenizer.push(7), "ab");
  EXPECT_EQ(detokenizer.push(8), "");
  EXPECT_EQ(detokenizer.push(9), "é");
  EXPECT_EQ(detokenizer.push(8), "");
  EXPECT_EQ(detokenizer.push(4),
            "\xEF\xBF\xBD"
            "a");
  EXPECT_EQ(detokenizer.push(8), "");
  EXPECT_EQ(detokenizer.finish(), "\xEF\xBF\xBD");
}

TEST(Detokenizer, ShowsTheSpecialTokensThatMarkReasoning) {
  const auto tokenizer = HfTokenizer::parse(
      R"({"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]},
          "added_tokens":[{"id":2,"content":"[THINK]","special":true},
                          {"id":3,"content":"[/THINK]","special":true},
                          {"id":4,"content":"</s>","special":true}],
          "decoder":{"type":"Fuse"}})");
  const std::vector<TokenId> marks = reasoning_marks(*tokenizer);
  EXPECT_THAT(marks, ElementsAre(2, 3));
  Detokenizer detokenizer(*tokenizer, true, marks);
  std::string text;
  for (const TokenId id : {2, 0, 3, 1, 4}) text += detokenizer.push(id);
  EXPECT_EQ(text, "[THINK]a[/THINK]b");
}

// Decoders that look at neighbours: what prints nothing must not hide the token before.
TEST(Detokenizer, KeepsNeighboursBehindSkippedTokens) {
  const auto tokenizer = HfTokenizer::parse(
      R"({"model":{"type":"BPE","vocab":{"a</w>":0,"b":1,"c</w>":2},"merges":[],
                   "end_of_word_suffix":"</w>"},
          "added_tokens":[{"id":3,"content":"<s>","special":true},
                          {"id":4,"content":"<think>","special":true}],
          "decoder":{"type":"BPEDecoder","suffix":"</w>"}})");
  ASSERT_FALSE(tokenizer->decodes_by_token());
  std::vector<TokenId> ids;
  for (int i = 0; i < 40; ++i) {
    ids.insert(ids.end(), {0, 3, 3, 1, 2});
    ids.insert(ids.end(), static_cast<std::size_t>(i), 3);
    ids.insert(ids.end(), static_cast<std::size_t>(i), 99);  // unknown
  }
  Detokenizer detokenizer(*tokenizer, true);
  std::string text;
  for (const TokenId id : ids) text += detokenizer.push(id);
  text += detokenizer.finish();
  EXPECT_EQ(text, tokenizer->decode(ids, true));
  EXPECT_THAT(text, testing::StartsWith("a bc a bc a"));

  Detokenizer shows(*tokenizer, true, {4});
  text.clear();
  for (const TokenId id : {3, 0, 4, 1, 3}) text += shows.push(id);
  EXPECT_EQ(text + std::string(shows.finish()), "a <think>b");
}

// A decoder that rewrites what was printed cannot be followed; it must still end, in whole
// characters and in time that is not squared.
TEST(Detokenizer, GoesOnWhenADecoderChangesPrintedText) {
  const auto tokenizer = HfTokenizer::parse(
      R"({"model":{"type":"WordLevel","vocab":{"a":0,"b":1,"é":2},"unk_token":"a"},
          "decoder":{"type":"Sequence","decoders":[
             {"type":"Fuse"},{"type":"Replace","pattern":{"String":"ab"},"content":"é"}]}})");
  ASSERT_FALSE(tokenizer->decodes_by_token());
  Detokenizer detokenizer(*tokenizer, false);
  std::string text;
  std::size_t longest = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::string_view piece = detokenizer.push(i % 3);
    longest = std::max(longest, piece.size());
    text += piece;
    EXPECT_TRUE(utf8::is_valid(piece));
  }
  text += detokenizer.finish();
  EXPECT_LT(longest, 200U);
  EXPECT_GT(text.size(), 100'000U);
}

std::string json_error(std::string_view json) {
  try {
    static_cast<void>(HfTokenizer::parse(json));
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(TokenizerJsonErrors, NameTheEntry) {
  EXPECT_THAT(json_error("{"), HasSubstr("not JSON"));
  EXPECT_THAT(json_error("{}"), HasSubstr("model: missing"));
  EXPECT_THAT(json_error(R"({"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}})"),
              HasSubstr("model.merges[0]"));
  EXPECT_THAT(json_error(R"({"model":{"type":"BPE","vocab":{"a":9000000},"merges":[]}})"),
              HasSubstr("model.vocab"));
  EXPECT_THAT(json_error(R"({"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}})"),
              HasSubstr("model.vocab"));
  EXPECT_THAT(json_error(R"({"model":{"type":"BPE","vocab":[["a"]],"merges":[]}})"),
              HasSubstr("model.vocab"));
  EXPECT_THAT(json_error(R"({"model":{"type":"Magic","vocab":{},"merges":[]}})"),
              HasSubstr("Magic"));
  EXPECT_THAT(json_error(R"({"model":{"type":"WordLevel","vocab":{"a":0}},
                             "pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},
                                              "behavior":"Isolated"}})"),
              HasSubstr("pre_tokenizer.pattern"));
  EXPECT_THAT(json_error(R"({"model":{"type":"WordLevel","vocab":{"a":0}},
                             "decoder":{"type":"Sequence","decoders":[{"type":"Nope"}]}})"),
              HasSubstr("decoder.decoders[0]"));
  std::string deep(100'000, '[');
  EXPECT_THAT(json_error(R"({"x":)" + deep), HasSubstr("nested deeper"));
}

TEST(TokenizerJson, TakesAnEmptyTextFirst) {
  const auto tokenizer = HfTokenizer::parse(
      R"({"model":{"type":"BPE","vocab":{"":0,"a":1,"b":2,"ab":3},"merges":["a b"]}})");
  EXPECT_EQ(tokenizer->encode("ab"), std::vector<TokenId>{3});
  EXPECT_EQ(tokenizer->vocab_size(), 4U);
}

TEST(TokenizerJson, CanLeaveSpecialTokensInTheTextAlone) {
  const auto tokenizer = HfTokenizer::parse(
      R"({"model":{"type":"BPE","vocab":{"<":0,"s":1,">":2,"x":3},"merges":[]},
          "added_tokens":[{"id":4,"content":"<s>","special":true},
                          {"id":5,"content":"xx","special":false,"normalized":false}]})");
  EXPECT_THAT(tokenizer->encode("<s>xx"), ElementsAre(4, 5));
  EXPECT_THAT(tokenizer->encode("<s>xx", {.parse_special = false}), ElementsAre(0, 1, 2, 5));
  EXPECT_EQ(tokenizer->vocab_size(), 6U);
  EXPECT_TRUE(tokenizer->is_special(4));
  EXPECT_FALSE(tokenizer->is_special(5));
  EXPECT_EQ(tokenizer->token(99), "");
}

Json offsets_of(const Encoding& encoding) {
  Json list = Json::array();
  for (const Encoding::Offsets& at : encoding.offsets) list.push_back({at.begin, at.end});
  return list;
}

// A token that swallows the blanks behind it leaves nothing of a second one among them.
TEST(TokenizerJson, SwallowedTokensAreNotCounted) {
  const auto tokenizer = HfTokenizer::parse(
      R"({"model":{"type":"WordLevel","vocab":{"a":0,"b":1},"unk_token":"a"},
          "added_tokens":[{"id":2,"content":"\n","lstrip":true,"rstrip":true,
                           "normalized":false}]})");
  EXPECT_THAT(tokenizer->encode("a\n\r\nb"), ElementsAre(0, 2, 1));
  EXPECT_THAT(tokenizer->encode("a\n\n"), ElementsAre(0, 2));
  // One that does not look to its left does not notice that it was swallowed.
  const auto blind = HfTokenizer::parse(
      R"({"model":{"type":"WordLevel","vocab":{"a":0,"b":1},"unk_token":"a"},
          "added_tokens":[{"id":2,"content":"\n","rstrip":true,"normalized":false}]})");
  EXPECT_THAT(blind->encode("a\n\nb"), ElementsAre(0, 2, 2, 1));
}

// Of two added tokens that normalisation makes equal, the special one counts.
TEST(TokenizerJson, SpecialTokensWinAmongEqualTexts) {
  const auto tokenizer = HfTokenizer::parse(
      R"({"model":{"type":"WordLevel","vocab":{"a":0},"unk_token":"a"},
          "normalizer":{"type":"Lowercase"},
          "added_tokens":[{"id":1,"content":"<X>","normalized":true},
                          {"id":2,"content":"<x>","normalized":true,"special":true}]})");
  EXPECT_THAT(tokenizer->encode("<X><x>"), ElementsAre(2, 2));
}

// Without a token for them, unknown characters are in no offset, also when the text is cut before
// it is merged.
TEST(TokenizerJson, UnknownCharactersMoveTheOffsetsBehindThem) {
  const auto tokenizer = HfTokenizer::parse(
      R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"▁":2,"▁b":3},"merges":[["▁","b"]]}})");
  const Encoding encoding = tokenizer->encode_full({"aXX▁b▁aY▁b", std::nullopt}, {});
  EXPECT_THAT(encoding.ids, ElementsAre(0, 3, 2, 0, 3));
  EXPECT_EQ(offsets_of(encoding), Json::parse("[[0,1],[1,4],[3,6],[5,6],[5,9]]"));
}

// In a sequence, BERT's and RoBERTa's post-processors take what the one before added as text; each
// part but the first ends with type 1.
TEST(TokenizerJson, PostProcessorsInSequenceResetMasks) {
  const auto tokenizer = HfTokenizer::parse(
      R"({"model":{"type":"WordLevel","vocab":{"a":0,"b":1,"c":2,"s":3},"unk_token":"a"},
          "post_processor":{"type":"Sequence","processors":[
            {"type":"TemplateProcessing",
             "single":[{"SpecialToken":{"id":"c","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
             "pair":[{"SpecialToken":{"id":"c","type_id":2}},{"Sequence":{"id":"A","type_id":2}},
                     {"Sequence":{"id":"B","type_id":3}}],
             "special_tokens":{"c":{"id":"c","ids":[2],"tokens":["c"]}}},
            {"type":"BertProcessing","cls":["c",2],"sep":["s",3]}]}})");
  const Encoding encoding = tokenizer->encode_full({"a", "b"}, {});
  EXPECT_THAT(encoding.ids, ElementsAre(2, 2, 3, 0, 3, 1, 3));
  EXPECT_THAT(encoding.type_ids, ElementsAre(0, 2, 0, 2, 1, 3, 1));
  EXPECT_THAT(encoding.special_tokens_mask, ElementsAre(1, 0, 1, 0, 1, 0, 1));
}

// RoBERTa's post-processor gives all tokens the type 0, but without special tokens leaves the types
// of the parts that truncation cut off.
TEST(TokenizerJson, OverflowingPartsKeepTheirTypesWithoutSpecialTokens) {
  const auto tokenizer = HfTokenizer::parse(
      R"({"model":{"type":"WordLevel","vocab":{"a":0,"b":1,"c":2},"unk_token":"a"},
          "pre_tokenizer":{"type":"WhitespaceSplit"},
          "post_processor":{"type":"RobertaProcessing","cls":["a",0],"sep":["b",1],
                            "trim_offsets":false,"add_prefix_space":true}})");
  TruncationOptions truncation{.strategy = TruncationOptions::Strategy::kOnlySecond,
                               .max_length = 3};
  HfTokenizer::FullOptions options{.encode = {.add_special = false}, .truncation = &truncation};
  const Encoding plain = tokenizer->encode_full({"a", "b c b c"}, options);
  EXPECT_THAT(plain.type_ids, ElementsAre(0, 0, 0));
  ASSERT_EQ(plain.overflowing.size(), 1U);
  EXPECT_THAT(plain.overflowing[0].ids, ElementsAre(0, 1, 2));
  EXPECT_THAT(plain.overflowing[0].type_ids, ElementsAre(0, 1, 1));
  truncation.max_length = 7;
  options.encode.add_special = true;
  const Encoding special = tokenizer->encode_full({"a", "b c b c"}, options);
  ASSERT_EQ(special.overflowing.size(), 1U);
  EXPECT_THAT(special.overflowing[0].type_ids, ElementsAre(0, 0, 0, 0, 0, 0, 0));
}

}  // namespace
}  // namespace mistral::text
