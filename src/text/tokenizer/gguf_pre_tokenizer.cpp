#include "text/tokenizer/gguf_pre_tokenizer.h"

#include <algorithm>

#include "text/tokenizer/digit_groups.h"
#include "text/tokenizer/fast_split.h"

namespace mistral::text {
namespace {

namespace known = split_expression;

constexpr std::string_view kDigit = R"(\p{N})";
constexpr std::string_view kDigits1To3 = R"(\p{N}{1,3})";
constexpr std::string_view kCjk = "[一-龥぀-ゟ゠-ヿ]+";
constexpr std::string_view kDeepseek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kSpark =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)";
// Letters with case as of one version of Unicode, by number: editors may normalise some of them.
constexpr std::string_view kDeepseekLetters =
    R"(\s?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"
    R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A})"
    R"(\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556})"
    R"(\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF})"
    R"(\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D})"
    R"(\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D})"
    R"(\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4})"
    R"(\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4})"
    R"(\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124})"
    R"(\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F})"
    R"(\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"
    R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F})"
    R"(\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17})"
    R"(\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3})"
    R"(\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF})"
    R"(\x{1E900}-\x{1E943}]+)";
constexpr std::string_view kKimi =
    R"([\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kSeedCoder =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kExaoneMoe =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kMiniCpm5 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kYoutu =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kBloom = " ?[^(\\s|.,!?…。，、।۔،)]+";
constexpr std::string_view kJais2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})";
constexpr std::string_view kLines = R"([^\n]+|[\n]+)";
constexpr std::string_view kAfmoeCjk =
    "[一-鿿㐀-䶿\\x{F900}-\\x{FAFF}぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-"
    "ꩿꧠ-"
    "꧿가-"
    "힯ᄀ-"
    "ᇿ]"
    "+";

struct Entry {
  std::vector<std::string_view> names;
  GgufPreTokenizer pre;
};

GgufPreTokenizer make(std::vector<std::string_view> expressions) {
  GgufPreTokenizer pre;
  pre.expressions = std::move(expressions);
  return pre;
}
GgufPreTokenizer exact(GgufPreTokenizer pre) {
  pre.clean_up_spaces = false;
  return pre;
}
GgufPreTokenizer whole_words(GgufPreTokenizer pre) {
  pre.ignore_merges = true;
  return pre;
}
GgufPreTokenizer with_bos(GgufPreTokenizer pre) {
  pre.add_bos = true;
  return pre;
}
GgufPreTokenizer plain_utf8(GgufPreTokenizer pre) {
  pre.byte_level = false;
  return pre;
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> kEntries = [] {
    const GgufPreTokenizer gpt2 = make({known::kGpt2});
    const GgufPreTokenizer starcoder = make({kDigit, known::kGpt2});
    const GgufPreTokenizer llama3 = make({known::kLlama3});
    const GgufPreTokenizer qwen2 = make({known::kQwen2});
    const GgufPreTokenizer o200k = make({known::kO200k});
    const GgufPreTokenizer deepseek3 = make({kDigits1To3, kCjk, kDeepseek3});
    const GgufPreTokenizer bloom = make({kBloom});
    std::vector<Entry> list;
    list.push_back({{"gpt-2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "gigachat",
                     "a.x-4.0", "mellum", "modern-bert", "jina-v1-en", "jina-v2-code",
                     "roberta-bpe", "mpt", "olmo", "jais", "exaone4"},
                    gpt2});
    list.push_back({{"trillion", "granite-docling"}, exact(gpt2)});
    list.push_back(
        {{"starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"}, starcoder});
    list.push_back({{"smollm", "command-r"}, exact(starcoder)});
    list.push_back({{"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral",
                     "midm-2.0", "lfm2", "jina-v5-nano"},
                    with_bos(whole_words(llama3))});
    list.push_back({{"dbrx", "smaug-bpe", "glm4", "chatglm-bpe"}, llama3});
    list.push_back({{"minicpm5"}, whole_words(make({kDigits1To3, kMiniCpm5}))});
    list.push_back(
        {{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "hunyuan", "solar-open", "grok-2"},
         exact(qwen2)});
    list.push_back({{"stablelm2", "megrez"}, qwen2});
    list.push_back({{"qwen35"}, exact(make({kQwen35}))});
    list.push_back({{"laguna"}, exact(make({kLines, known::kQwen2}))});
    list.push_back({{"deepseek-llm"},
                    exact(make({"[\r\n]", kDeepseekLetters, "\\s?[!-/:-~！-／：-～‘-‟　-。]+",
                                "\\s+$", "[一-龥ࠀ-一가-퟿]+", "\\p{N}+"}))});
    list.push_back({{"deepseek-coder"},
                    exact(make({"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+",
                                kDigit}))});
    list.push_back({{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"}, exact(deepseek3)});
    list.push_back({{"spark2_5"}, exact(make({kDigits1To3, kCjk, kSpark, kDigit}))});
    list.push_back(
        {{"youtu"},
         whole_words(exact(
             make({"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|["
                   "一-龥぀-ゟ゠-ヿ]+",
                   kYoutu})))});
    list.push_back(
        {{"falcon"}, make({R"([\p{P}\$\+<=>\^~\|`]+)", known::kGpt2, "[0-9][0-9][0-9]"})});
    list.push_back({{"tekken"}, with_bos(whole_words(exact(make({known::kTekken}))))});
    list.push_back({{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, exact(o200k)});
    list.push_back({{"granite-embed-multi-97m"}, whole_words(exact(o200k))});
    list.push_back(
        {{"tiny_aya", "cohere2moe"}, exact(make({known::kGroupsOfWords, known::kO200k}))});
    list.push_back({{"bailingmoe", "bailingmoe2", "llada-moe"}, exact(make({known::kBailing}))});
    list.push_back({{"seed-coder"}, exact(make({kSeedCoder}))});
    list.push_back({{"exaone-moe"}, make({kExaoneMoe})});
    list.push_back({{"kimi-k2"}, exact(make({kKimi}))});
    list.push_back({{"superbpe"}, exact(make({"\\p{N}+", known::kPlacesOfGroups}))});
    list.push_back(
        {{"ufakzeka"},
         exact(make(
             {R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}))});
    list.push_back({{"afmoe"}, exact(make({known::kGroupsOfNumbers, kAfmoeCjk, kDeepseek3}))});
    list.push_back({{"bloom", "gpt3-finnish"}, bloom});
    list.push_back({{"poro-chat"}, exact(bloom)});
    list.push_back({{"viking"}, exact(make({kBloom, kDigit}))});
    list.push_back({{"jais-2"}, make({kJais2})});
    list.push_back({{"chameleon"},
                    with_bos(exact(make({"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
                                         "([\\t\\n]|    |  )", kDigit, R"([\p{P}!-/:-@\[-`{-~])",
                                         known::kGpt2})))});
    list.push_back({{"gemma4", "granite-embed-multi-311m"}, with_bos(plain_utf8(make({kLines})))});
    list.push_back({{"sarvam-moe"}, exact(plain_utf8(make({kLines})))});
    list.push_back({{"default"}, default_gguf_pre_tokenizer()});
    return list;
  }();
  return kEntries;
}

}  // namespace

const GgufPreTokenizer& default_gguf_pre_tokenizer() {
  static const GgufPreTokenizer kDefault =
      make({R"([\p{P}\$\+<=>\^~\|]+)", known::kGpt2, "\\p{N}+", "[0-9][0-9][0-9]"});
  return kDefault;
}

std::vector<std::string_view> gguf_pre_tokenizer_names() {
  std::vector<std::string_view> names;
  for (const Entry& entry : entries()) {
    names.insert(names.end(), entry.names.begin(), entry.names.end());
  }
  return names;
}

const GgufPreTokenizer* find_gguf_pre_tokenizer(std::string_view name) {
  for (const Entry& entry : entries()) {
    if (std::find(entry.names.begin(), entry.names.end(), name) != entry.names.end()) {
      return &entry.pre;
    }
  }
  return nullptr;
}

}  // namespace mistral::text
