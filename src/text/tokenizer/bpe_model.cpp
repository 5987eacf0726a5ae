// Byte-pair encoding as tokenizer.json describes it.
#include <array>

#include "text/tokenizer/bpe_merger.h"
#include "text/tokenizer/gguf_vocabulary.h"
#include "text/tokenizer/token_model.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

class BpeModel final : public TokenModel {
 public:
  BpeModel(const JsonReader& reader, Vocabulary source, const ModelLists& lists)
      : TokenModel(std::move(source)),
        prefix_(reader.string("continuing_subword_prefix", "")),
        suffix_(reader.string("end_of_word_suffix", "")),
        fuse_unk_(reader.boolean("fuse_unk", false)),
        byte_fallback_(reader.boolean("byte_fallback", false)),
        ignore_merges_(reader.boolean("ignore_merges", false)) {
    if (const auto unk = reader.optional_string("unk_token")) unk_ = vocabulary().find(*unk);
    for (unsigned byte = 0; byte < 256; ++byte) {
      bytes_[byte] = vocabulary().find_id(byte_token_text(static_cast<std::uint8_t>(byte)));
    }
    std::string character;
    for (char32_t c = 0; c < characters_.size(); ++c) {
      character.clear();
      utf8::append(c, character);
      characters_[c] = vocabulary().find_id(character);
    }
    load_merges(lists);
  }

  void tokenize(std::string_view word, std::vector<ModelToken>& out) const override {
    if (ignore_merges_) {
      if (const TokenId id = vocabulary().find_id(word); id >= 0) {
        out.push_back({id, 0, word.size()});
        return;
      }
    }
    std::vector<BpeMerger::Symbol> symbols = initial_symbols(word);
    merger_.merge(symbols);
    std::size_t begin = 0;
    for (const BpeMerger::Symbol& symbol : symbols) {
      out.push_back({symbol.id, begin, begin + symbol.length});
      begin += symbol.length;
    }
  }

 private:
  void load_merges(const ModelLists& lists) {
    merger_.reserve(lists.merges.size());
    std::string merged;
    for (std::size_t rank = 0; rank < lists.merges.size(); ++rank) {
      const ModelLists::Merge& merge = lists.merges[rank];
      std::string_view left = merge.left;
      std::string_view right = merge.right;
      if (merge.joined) {
        if (left.starts_with("#version")) continue;
        const std::size_t space = left.find(' ');
        if (space == std::string_view::npos ||
            left.find(' ', space + 1) != std::string_view::npos) {
          throw make_error(ErrorKind::kInvalidFile,
                           "model.merges[{}]: expected two tokens and a space, found \"{}\"", rank,
                           left);
        }
        right = left.substr(space + 1);
        left = left.substr(0, space);
      }
      if (right.size() < prefix_.size()) {
        throw make_error(ErrorKind::kInvalidFile,
                         "model.merges[{}]: \"{}\" lacks the prefix \"{}\"", rank, right, prefix_);
      }
      merged.assign(left).append(right.substr(prefix_.size()));
      merger_.add(require(left, rank), require(right, rank), static_cast<std::uint32_t>(rank),
                  require(merged, rank), BpeMerger::Repeated::kLastWins);
    }
  }
  [[nodiscard]] TokenId require(std::string_view token, std::size_t rank) const {
    const TokenId id = vocabulary().find_id(token);
    if (id < 0) {
      throw make_error(ErrorKind::kInvalidFile, "model.merges[{}]: \"{}\" is not in model.vocab",
                       rank, token);
    }
    return id;
  }

  [[nodiscard]] std::vector<BpeMerger::Symbol> initial_symbols(std::string_view word) const {
    std::vector<BpeMerger::Symbol> symbols;
    symbols.reserve(word.size());
    std::uint32_t unknown = 0;  // bytes that wait for an unknown token
    const auto flush = [&] {
      if (unknown > 0) symbols.push_back({*unk_, unknown});
      unknown = 0;
    };
    const bool affixes = !prefix_.empty() || !suffix_.empty();
    std::string decorated;
    for (std::size_t begin = 0; begin < word.size();) {
      const utf8::Character c = utf8::decode(word.substr(begin));
      std::string_view symbol = word.substr(begin, c.length);
      TokenId id = -1;
      if (affixes) {
        decorated = begin > 0 ? prefix_ : std::string();
        decorated += symbol;
        if (begin + c.length == word.size()) decorated += suffix_;
        symbol = decorated;
        id = vocabulary().find_id(symbol);
      } else {
        id = c.code_point < characters_.size() ? characters_[c.code_point]
                                               : vocabulary().find_id(symbol);
      }
      begin += c.length;
      if (id >= 0) {
        flush();
        symbols.push_back({id, c.length});
        continue;
      }
      if (byte_fallback_ && append_bytes_of(symbol, symbols)) continue;
      if (!unk_) continue;
      if (!fuse_unk_) flush();
      unknown += c.length;
    }
    flush();
    return symbols;
  }

  bool append_bytes_of(std::string_view symbol, std::vector<BpeMerger::Symbol>& symbols) const {
    for (const char byte : symbol) {
      if (bytes_[static_cast<std::uint8_t>(byte)] < 0) return false;
    }
    for (const char byte : symbol) symbols.push_back({bytes_[static_cast<std::uint8_t>(byte)], 1});
    return true;
  }

  std::string prefix_;
  std::string suffix_;
  bool fuse_unk_;
  bool byte_fallback_;
  bool ignore_merges_;
  BpeMerger merger_;
  std::array<TokenId, 256> bytes_{};
  std::array<TokenId, 0x200> characters_{};  // covers the byte-level alphabet
};

}  // namespace

std::unique_ptr<TokenModel> make_bpe_model(const JsonReader& reader, Vocabulary vocabulary,
                                           const ModelLists& lists) {
  return std::make_unique<BpeModel>(reader, std::move(vocabulary), lists);
}

}  // namespace mistral::text
