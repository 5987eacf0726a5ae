// Byte-pair vocabularies (GPT-2, Llama 3, Qwen, SmolLM, StarCoder, …): words cut by regular
// expressions, merges by rank.
#include <array>

#include "core/error.h"
#include "text/tokenizer/bpe_merger.h"
#include "text/tokenizer/byte_level.h"
#include "text/tokenizer/gguf_pre_tokenizer.h"
#include "text/tokenizer/gguf_tokenizer.h"
#include "text/tokenizer/split_pattern.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

constexpr std::string_view kMergesKey = "tokenizer.ggml.merges";

const GgufPreTokenizer& pre_tokenizer_of(const GgufVocabulary& vocabulary) {
  const GgufPreTokenizer* pre = find_gguf_pre_tokenizer(vocabulary.pre);
  return pre != nullptr ? *pre : default_gguf_pre_tokenizer();
}

class GgufBpe final : public GgufTokenizer {
 public:
  GgufBpe(GgufVocabulary source, const formats::GgufMetadata& gguf)
      : GgufTokenizer(std::move(source)), pre_(pre_tokenizer_of(vocabulary())) {
    for (const std::string_view expression : pre_.expressions) {
      splits_.push_back(SplitPattern::expression(expression));
    }
    for (unsigned byte = 0; byte < 256; ++byte) {
      bytes_[byte] = symbol_of(byte_level::spelling(static_cast<std::uint8_t>(byte)));
    }
    load_merges(gguf);
    build_fallbacks();
    build_pieces([&](std::string_view text, std::string& out) {
      if (!pre_.byte_level) {
        append_unescaped_spaces(text, out);
      } else if (!utf8::is_valid(text) || !byte_level::append_decoded(text, out)) {
        out += text;
      }
    });
  }

 private:
  static constexpr TokenId kNoSymbol = -1;

  // Texts that merges name but the vocabulary lacks have ids behind the vocabulary's.
  TokenId symbol_of(std::string_view text) {
    if (const TokenId id = vocabulary().tokens.find_id(text); id >= 0) return id;
    const auto base = static_cast<TokenId>(vocabulary().tokens.size());
    if (const TokenId id = extra_.find_id(text); id >= 0) return base + id;
    const auto id = static_cast<TokenId>(extra_.size());
    extra_.add(id, text);
    return base + id;
  }

  void load_merges(const formats::GgufMetadata& gguf) {
    const formats::GgufArray* array = gguf.array(kMergesKey);
    if (array == nullptr) {
      if (vocabulary().pre == "kimi-k2") return;
      throw make_error(ErrorKind::kInvalidFile, "{}: missing", kMergesKey);
    }
    const auto* merges = std::get_if<std::vector<std::string_view>>(&array->elements);
    if (merges == nullptr) {
      if (array->size() == 0) return;
      throw make_error(ErrorKind::kInvalidFile, "{}: expected a list of strings", kMergesKey);
    }
    merger_.reserve(merges->size());
    // In blocks, so that the cache misses of many merges overlap.
    constexpr std::size_t kBlock = 64;
    std::vector<std::string> merged(kBlock);
    std::vector<std::size_t> ranks;
    std::vector<std::string_view> texts;  // left, right and merged of each rank
    std::vector<TokenId> ids;
    for (std::size_t begin = 0; begin < merges->size(); begin += kBlock) {
      const std::size_t end = std::min(begin + kBlock, merges->size());
      texts.clear();
      ranks.clear();
      for (std::size_t rank = begin; rank < end; ++rank) {
        const std::string_view merge = (*merges)[rank];
        const std::size_t space = merge.find(' ', 1);
        if (space == std::string_view::npos) continue;
        const std::string_view left = merge.substr(0, space);
        const std::string_view right = merge.substr(space + 1);
        std::string& both = merged[rank - begin];
        both.assign(left).append(right);
        texts.insert(texts.end(), {left, right, both});
        ranks.push_back(rank);
      }
      ids.resize(texts.size());
      vocabulary().tokens.find_ids(texts, ids);
      for (std::size_t i = 0; i < ids.size(); ++i) {
        if (ids[i] < 0) ids[i] = symbol_of(texts[i]);
        if (i % 3 == 1) merger_.prefetch(ids[i - 1], ids[i]);
      }
      for (std::size_t i = 0; i < ranks.size(); ++i) {
        merger_.add(ids[i * 3], ids[i * 3 + 1], static_cast<std::uint32_t>(ranks[i]),
                    ids[i * 3 + 2], BpeMerger::Repeated::kFirstWins);
      }
    }
  }

  // What a symbol that is not in the vocabulary becomes: its bytes, as far as they are tokens.
  void build_fallbacks() {
    for (std::size_t i = 0; i < extra_.size(); ++i) {
      std::vector<TokenId>& ids = fallbacks_.emplace_back();
      append_byte_tokens(extra_.text(static_cast<TokenId>(i)), ids);
    }
  }
  void append_byte_tokens(std::string_view text, std::vector<TokenId>& out) const {
    for (const char c : text) {
      const TokenId id =
          pre_.byte_level
              ? vocabulary().tokens.find_id({&c, 1})
              : vocabulary().tokens.find_id(byte_token_text(static_cast<std::uint8_t>(c)));
      if (id >= 0) out.push_back(id);
    }
  }

  void encode_fragment(std::string_view text, bool /*at_beginning*/,
                       std::vector<TokenId>& out) const override {
    std::string escaped;
    if (!pre_.byte_level) {
      append_escaped_spaces(text, escaped);
      text = escaped;
    }
    std::vector<ByteRange> pieces{{0, text.size()}};
    for (const SplitPattern& split : splits_) cut(text, split, pieces);
    std::vector<BpeMerger::Symbol> symbols;
    std::string encoded;
    for (const ByteRange& piece : pieces) {
      encode_word(text.substr(piece.begin, piece.end - piece.begin), symbols, encoded, out);
    }
  }

  // Cuts every piece at the beginnings and ends of the matches in it.
  static void cut(std::string_view text, const SplitPattern& split,
                  std::vector<ByteRange>& pieces) {
    std::vector<ByteRange> finer;
    finer.reserve(pieces.size() * 2);
    for (const ByteRange& piece : pieces) {
      std::size_t done = piece.begin;
      for (const ByteRange& match :
           split.find_all(text.substr(piece.begin, piece.end - piece.begin))) {
        const std::size_t begin = piece.begin + match.begin;
        const std::size_t end = piece.begin + match.end;
        if (begin > done) finer.push_back({done, begin});
        if (end > begin) finer.push_back({begin, end});
        done = end;
      }
      if (done < piece.end) finer.push_back({done, piece.end});
    }
    pieces = std::move(finer);
  }

  void encode_word(std::string_view word, std::vector<BpeMerger::Symbol>& symbols,
                   std::string& encoded, std::vector<TokenId>& out) const {
    const bool lines =
        vocabulary().pre == "gemma4" && word.find_first_not_of('\n') == std::string_view::npos;
    if (vocabulary().ignore_merges || lines) {
      encoded.clear();
      if (pre_.byte_level) {
        byte_level::append_encoded(word, encoded);
      } else {
        encoded = word;
      }
      if (const TokenId id = vocabulary().tokens.find_id(encoded); id >= 0) {
        out.push_back(id);
        return;
      }
    }
    symbols.clear();
    if (pre_.byte_level) {
      for (const char c : word) symbols.push_back({bytes_[static_cast<std::uint8_t>(c)], 1});
    } else {
      for (std::size_t i = 0; i < word.size();) {
        const std::uint32_t length = utf8::length_of(word[i]);
        symbols.push_back({known_symbol(word.substr(i, length)), length});
        i += length;
      }
    }
    merger_.merge(symbols);
    std::size_t position = 0;
    const auto base = static_cast<TokenId>(vocabulary().tokens.size());
    for (const BpeMerger::Symbol& symbol : symbols) {
      if (symbol.id == kNoSymbol) {
        append_byte_tokens(word.substr(position, symbol.length), out);
      } else if (symbol.id < base) {
        out.push_back(symbol.id);
      } else {
        const auto& ids = fallbacks_[static_cast<std::size_t>(symbol.id - base)];
        out.insert(out.end(), ids.begin(), ids.end());
      }
      position += symbol.length;
    }
  }
  [[nodiscard]] TokenId known_symbol(std::string_view text) const {
    if (const TokenId id = vocabulary().tokens.find_id(text); id >= 0) return id;
    const TokenId id = extra_.find_id(text);
    return id < 0 ? kNoSymbol : static_cast<TokenId>(vocabulary().tokens.size()) + id;
  }

  const GgufPreTokenizer& pre_;
  std::vector<SplitPattern> splits_;
  std::array<TokenId, 256> bytes_{};
  BpeMerger merger_;
  Vocabulary extra_;
  std::vector<std::vector<TokenId>> fallbacks_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_gguf_bpe(GgufVocabulary vocabulary,
                                         const formats::GgufMetadata& gguf) {
  return std::make_unique<GgufBpe>(std::move(vocabulary), gguf);
}

}  // namespace mistral::text
