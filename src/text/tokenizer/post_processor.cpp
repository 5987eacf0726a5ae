#include "text/tokenizer/post_processor.h"

#include <algorithm>
#include <map>

#include "text/tokenizer/unicode.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

constexpr std::size_t kDeepest = 32;

struct SpecialToken {
  std::vector<TokenId> ids;
  std::vector<std::string> tokens;

  [[nodiscard]] Encoding encoding(std::uint32_t type_id) const {
    Encoding encoding;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      encoding.push_back(ids[i], tokens[i], {0, 0}, type_id, true);
    }
    return encoding;
  }
};

// Applies `change` to an encoding and to the parts that truncation cut off.
template <typename Change>
void for_all_parts(Encoding& encoding, Change&& change) {
  change(encoding);
  for (Encoding& part : encoding.overflowing) change(part);
}

// Puts special tokens around an encoding and around its overflowing parts. What stands between them
// counts as text, also the special tokens of a post-processor before.
Encoding wrap(const SpecialToken* before, Encoding encoding, const SpecialToken& after,
              std::uint32_t type_id) {
  const auto around = [&](const Encoding& inner) {
    Encoding outer;
    if (before != nullptr) outer.append(before->encoding(type_id));
    Encoding text = inner.slice(0, inner.size());
    text.special_tokens_mask.assign(text.size(), 0);
    outer.append(text);
    outer.append(after.encoding(type_id));
    return outer;
  };
  Encoding wrapped = around(encoding);
  for (const Encoding& part : encoding.overflowing) wrapped.overflowing.push_back(around(part));
  return wrapped;
}

// Takes the blanks at both ends of a byte-level token out of its offsets.
void trim_offsets(Encoding& encoding, bool add_prefix_space) {
  constexpr char32_t kSpace = 0x120;  // "Ġ"
  const auto is_blank = [](char32_t c) { return c == kSpace || unicode::is_space(c); };
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    const std::string_view token = encoding.tokens[i];
    std::size_t leading = 0;
    for (std::string_view rest = token; !rest.empty(); ++leading) {
      const utf8::Character c = utf8::decode(rest);
      if (!is_blank(c.code_point)) break;
      rest.remove_prefix(c.length);
    }
    std::size_t trailing = 0;
    for (std::string_view rest = token; !rest.empty(); ++trailing) {
      const utf8::Character c = utf8::decode_last(rest);
      if (!is_blank(c.code_point)) break;
      rest.remove_suffix(c.length);
    }
    Encoding::Offsets& offsets = encoding.offsets[i];
    if (leading > 0) {
      // A single space at the beginning was put there and is not part of the text.
      if (add_prefix_space && (i == 0 || offsets.begin == 0) && leading == 1) leading = 0;
      offsets.begin = std::min(offsets.begin + leading, offsets.end);
    }
    if (trailing > 0 && offsets.end >= trailing) {
      offsets.end = std::max(offsets.end - trailing, offsets.begin);
    }
  }
}

class BertProcessing final : public PostProcessor {
 public:
  BertProcessing(SpecialToken cls, SpecialToken sep) : cls_(std::move(cls)), sep_(std::move(sep)) {}

  [[nodiscard]] std::vector<Encoding> process(std::vector<Encoding> sequences,
                                              bool add_special) const override {
    if (!add_special) return sequences;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      const bool first = i == 0;
      sequences[i] = wrap(first ? &cls_ : nullptr, std::move(sequences[i]), sep_, first ? 0U : 1U);
    }
    return sequences;
  }
  [[nodiscard]] std::size_t added_tokens(bool pair) const override { return pair ? 3 : 2; }

 private:
  SpecialToken cls_;
  SpecialToken sep_;
};

class RobertaProcessing final : public PostProcessor {
 public:
  RobertaProcessing(SpecialToken cls, SpecialToken sep, bool trim, bool add_prefix_space)
      : cls_(std::move(cls)), sep_(std::move(sep)), trim_(trim), prefix_(add_prefix_space) {}

  [[nodiscard]] std::vector<Encoding> process(std::vector<Encoding> sequences,
                                              bool add_special) const override {
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      for_all_parts(sequences[i], [&](Encoding& part) {
        if (trim_) trim_offsets(part, prefix_);
        if (add_special) part.set_type_ids(0);
      });
      // Without special tokens the overflowing parts keep their types, as in the format's own
      // library.
      sequences[i].set_type_ids(0);
      if (add_special) {
        sequences[i] = wrap(i == 0 ? &cls_ : &sep_, std::move(sequences[i]), sep_, 0);
      }
    }
    return sequences;
  }
  [[nodiscard]] std::size_t added_tokens(bool pair) const override { return pair ? 4 : 2; }

 private:
  SpecialToken cls_;
  SpecialToken sep_;
  bool trim_;
  bool prefix_;
};

class ByteLevelProcessing final : public PostProcessor {
 public:
  ByteLevelProcessing(bool trim, bool add_prefix_space) : trim_(trim), prefix_(add_prefix_space) {}
  [[nodiscard]] std::vector<Encoding> process(std::vector<Encoding> sequences,
                                              bool /*add_special*/) const override {
    if (!trim_) return sequences;
    for (Encoding& sequence : sequences) {
      for_all_parts(sequence, [&](Encoding& part) { trim_offsets(part, prefix_); });
    }
    return sequences;
  }
  [[nodiscard]] std::size_t added_tokens(bool /*pair*/) const override { return 0; }

 private:
  bool trim_;
  bool prefix_;
};

class TemplateProcessing final : public PostProcessor {
 public:
  struct Piece {
    const SpecialToken* special;  // nullptr: a sequence
    std::size_t sequence;
    std::uint32_t type_id;
  };
  struct Templates {
    std::map<std::string, SpecialToken> special_tokens;
    std::vector<Piece> single;
    std::vector<Piece> pair;
  };
  explicit TemplateProcessing(std::unique_ptr<Templates> templates)
      : templates_(std::move(templates)) {}

  [[nodiscard]] std::vector<Encoding> process(std::vector<Encoding> sequences,
                                              bool add_special) const override {
    std::vector<Encoding> parts;
    for (const Piece& piece : sequences.size() > 1 ? templates_->pair : templates_->single) {
      if (piece.special != nullptr) {
        if (add_special) parts.push_back(piece.special->encoding(piece.type_id));
      } else if (piece.sequence < sequences.size()) {
        parts.push_back(sequences[piece.sequence]);
        parts.back().set_type_ids(piece.type_id);
      }
    }
    return parts;
  }
  [[nodiscard]] std::size_t added_tokens(bool pair) const override {
    std::size_t count = 0;
    for (const Piece& piece : pair ? templates_->pair : templates_->single) {
      if (piece.special != nullptr) count += piece.special->ids.size();
    }
    return count;
  }

 private:
  std::unique_ptr<Templates> templates_;  // pieces point into it
};

class SequenceProcessing final : public PostProcessor {
 public:
  explicit SequenceProcessing(std::vector<std::unique_ptr<PostProcessor>> parts)
      : parts_(std::move(parts)) {}
  [[nodiscard]] std::vector<Encoding> process(std::vector<Encoding> sequences,
                                              bool add_special) const override {
    for (const auto& part : parts_) sequences = part->process(std::move(sequences), add_special);
    return sequences;
  }
  [[nodiscard]] std::size_t added_tokens(bool pair) const override {
    std::size_t count = 0;
    for (const auto& part : parts_) count += part->added_tokens(pair);
    return count;
  }

 private:
  std::vector<std::unique_ptr<PostProcessor>> parts_;
};

// ["[SEP]", 102]
SpecialToken read_named_token(const JsonReader& reader, std::string_view key) {
  const JsonValue::array_t& pair = reader.require_array(key);
  if (pair.size() != 2 || !pair[0].is_string() || !pair[1].is_number_unsigned() ||
      pair[1].get<std::uint64_t>() > 0x7FFFFFFF) {
    throw reader.wrong(key, "[token, id]");
  }
  return {{pair[1].get<TokenId>()}, {pair[0].get<std::string>()}};
}

std::vector<TemplateProcessing::Piece> read_template(
    const JsonReader& reader, std::string_view key,
    const std::map<std::string, SpecialToken>& special_tokens) {
  std::vector<TemplateProcessing::Piece> pieces;
  if (reader.find(key) == nullptr) return pieces;
  for (const JsonValue& item : reader.require_array(key)) {
    const std::string where = json_path(reader.path(key), pieces.size());
    const JsonReader piece(item, where);
    if (const JsonValue* special = piece.find("SpecialToken")) {
      const JsonReader token(*special, piece.path("SpecialToken"));
      const std::string id = token.require_string("id");
      const auto found = special_tokens.find(id);
      if (found == special_tokens.end()) {
        throw make_error(ErrorKind::kInvalidFile, "{}: \"{}\" is not in special_tokens",
                         token.path("id"), id);
      }
      pieces.push_back({&found->second, 0,
                        static_cast<std::uint32_t>(token.optional_integer("type_id").value_or(0))});
      continue;
    }
    const JsonReader sequence(piece.require("Sequence"), piece.path("Sequence"));
    const std::string id = sequence.require_string("id");
    if (id != "A" && id != "B") throw sequence.wrong("id", "A or B");
    pieces.push_back(
        {nullptr, id == "A" ? 0U : 1U,
         static_cast<std::uint32_t>(sequence.optional_integer("type_id").value_or(0))});
  }
  return pieces;
}

std::unique_ptr<PostProcessor> make_template(const JsonReader& reader) {
  auto templates = std::make_unique<TemplateProcessing::Templates>();
  if (const JsonValue* map = reader.find("special_tokens")) {
    if (!map->is_object()) throw reader.wrong("special_tokens", "an object");
    for (const auto& [name, value] : map->items()) {
      const JsonReader entry(value, reader.path("special_tokens") + "." + name);
      SpecialToken token;
      for (const JsonValue& id : entry.require_array("ids")) {
        if (!id.is_number_unsigned() || id.get<std::uint64_t>() > 0x7FFFFFFF) {
          throw entry.wrong("ids", "a list of ids");
        }
        token.ids.push_back(id.get<TokenId>());
      }
      for (const JsonValue& text : entry.require_array("tokens")) {
        if (!text.is_string()) throw entry.wrong("tokens", "a list of strings");
        token.tokens.push_back(text.get<std::string>());
      }
      if (token.ids.size() != token.tokens.size()) {
        throw make_error(ErrorKind::kInvalidFile, "{}: {} ids for {} tokens", entry.where(),
                         token.ids.size(), token.tokens.size());
      }
      templates->special_tokens.emplace(name, std::move(token));
    }
  }
  templates->single = read_template(reader, "single", templates->special_tokens);
  templates->pair = read_template(reader, "pair", templates->special_tokens);
  return std::make_unique<TemplateProcessing>(std::move(templates));
}

std::unique_ptr<PostProcessor> make(const JsonValue& json, const std::string& where,
                                    std::size_t depth) {
  if (depth > kDeepest) throw make_error(ErrorKind::kInvalidFile, "{}: nested too deep", where);
  const JsonReader reader(json, where);
  const std::string type = reader.require_string("type");
  if (type == "TemplateProcessing") return make_template(reader);
  if (type == "BertProcessing") {
    return std::make_unique<BertProcessing>(read_named_token(reader, "cls"),
                                            read_named_token(reader, "sep"));
  }
  if (type == "RobertaProcessing") {
    return std::make_unique<RobertaProcessing>(
        read_named_token(reader, "cls"), read_named_token(reader, "sep"),
        reader.boolean("trim_offsets", true), reader.boolean("add_prefix_space", true));
  }
  if (type == "ByteLevel") {
    return std::make_unique<ByteLevelProcessing>(reader.boolean("trim_offsets", true),
                                                 reader.boolean("add_prefix_space", true));
  }
  if (type == "Sequence") {
    std::vector<std::unique_ptr<PostProcessor>> parts;
    for (const JsonValue& part : reader.require_array("processors")) {
      parts.push_back(make(part, json_path(reader.path("processors"), parts.size()), depth + 1));
    }
    return std::make_unique<SequenceProcessing>(std::move(parts));
  }
  throw make_error(ErrorKind::kUnsupported, "{}: the post-processor \"{}\" is not known", where,
                   type);
}

}  // namespace

std::unique_ptr<PostProcessor> make_post_processor(const JsonValue& json,
                                                   const std::string& where) {
  return make(json, where, 0);
}

}  // namespace mistral::text
