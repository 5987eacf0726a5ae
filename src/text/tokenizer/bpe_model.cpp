// Byte-pair encoding as tokenizer.json describes it.
#include <algorithm>
#include <array>
#include <utility>

#include "text/tokenizer/bpe_merger.h"
#include "text/tokenizer/escaped_space.h"
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
    cuts_at_spaces_ = prefix_.empty() && suffix_.empty() &&
                      vocabulary().contains(vocabulary().find_id(kEscapedSpace));
    load_merges(lists);
  }

  void tokenize(std::string_view word, std::vector<ModelToken>& out) const override {
    if (ignore_merges_) {
      if (const TokenId id = vocabulary().find_id(word); id >= 0) {
        out.push_back({id, 0, word.size()});
        return;
      }
    }
    std::size_t covered = 0;
    for (std::size_t begin = 0; begin < word.size();) {
      const std::size_t end = cuts_at_spaces_ ? escaped_word_end(word, begin) : word.size();
      covered = append_tokens(word.substr(begin, end - begin), covered, out);
      begin = end;
    }
  }

 private:
  // The tokens of `part` behind `covered` bytes of the word; returns the bytes covered then.
  // Without a token for unknown characters these are left out of the count too, as the format's own
  // library does: the offsets of what follows move to the left.
  std::size_t append_tokens(std::string_view part, std::size_t covered,
                            std::vector<ModelToken>& out) const {
    std::vector<BpeMerger::Symbol> symbols = initial_symbols(part);
    merger_.merge(symbols);
    for (const BpeMerger::Symbol& symbol : symbols) {
      out.push_back({symbol.id, covered, covered + symbol.length});
      covered += symbol.length;
    }
    return covered;
  }

  void load_merges(const ModelLists& lists) {
    merger_.reserve(lists.merges.size());
    // In blocks, so that the cache misses of many merges overlap.
    constexpr std::size_t kBlock = 64;
    std::vector<std::string> merged(kBlock);
    std::vector<std::size_t> ranks;
    std::vector<std::string_view> texts;  // left, right and merged of each rank
    std::vector<TokenId> ids;
    for (std::size_t begin = 0; begin < lists.merges.size(); begin += kBlock) {
      const std::size_t end = std::min(begin + kBlock, lists.merges.size());
      texts.clear();
      ranks.clear();
      for (std::size_t rank = begin; rank < end; ++rank) {
        const ModelLists::Merge& merge = lists.merges[rank];
        if (merge.joined && merge.left.starts_with("#version")) continue;
        const auto [left, right] = parts_of(merge, rank);
        std::string& both = merged[rank - begin];
        both.assign(left).append(right.substr(prefix_.size()));
        texts.insert(texts.end(), {left, right, both});
        ranks.push_back(rank);
      }
      ids.resize(texts.size());
      vocabulary().find_ids(texts, ids);
      for (std::size_t i = 0; i < ids.size(); ++i) {
        if (ids[i] < 0) {
          throw make_error(ErrorKind::kInvalidFile,
                           "model.merges[{}]: \"{}\" is not in model.vocab", ranks[i / 3],
                           texts[i]);
        }
        if (i % 3 == 1) merger_.prefetch(ids[i - 1], ids[i]);
        if (i % 3 == 2) cuts_at_spaces_ = cuts_at_spaces_ && is_escaped_word(texts[i]);
      }
      for (std::size_t i = 0; i < ranks.size(); ++i) {
        merger_.add(ids[i * 3], ids[i * 3 + 1], static_cast<std::uint32_t>(ranks[i]),
                    ids[i * 3 + 2], BpeMerger::Repeated::kLastWins);
      }
    }
  }

  [[nodiscard]] std::pair<std::string_view, std::string_view> parts_of(
      const ModelLists::Merge& merge, std::size_t rank) const {
    std::string_view left = merge.left;
    std::string_view right = merge.right;
    if (merge.joined) {
      const std::size_t space = left.find(' ');
      if (space == std::string_view::npos || left.find(' ', space + 1) != std::string_view::npos) {
        throw make_error(ErrorKind::kInvalidFile,
                         "model.merges[{}]: expected two tokens and a space, found \"{}\"", rank,
                         left);
      }
      right = left.substr(space + 1);
      left = left.substr(0, space);
    }
    if (right.size() < prefix_.size()) {
      throw make_error(ErrorKind::kInvalidFile, "model.merges[{}]: \"{}\" lacks the prefix \"{}\"",
                       rank, right, prefix_);
    }
    return {left, right};
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
  // No merge joins U+2581 to a character before it, so texts can be cut there: models that see
  // whole texts as one word become much faster.
  bool cuts_at_spaces_ = false;
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
