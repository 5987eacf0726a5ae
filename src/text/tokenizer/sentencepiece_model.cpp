#include "text/tokenizer/sentencepiece_model.h"

#include <cmath>
#include <unordered_set>

#include "core/error.h"
#include "text/tokenizer/protobuf_reader.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

using Field = ProtobufReader::Field;
using Wire = Field::Wire;
using Kind = SentencePieceModel::Kind;
using Type = SentencePieceModel::Type;

// Field numbers of sentencepiece_model.proto.
namespace model_field {
constexpr std::uint64_t kPieces = 1;
constexpr std::uint64_t kTrainer = 2;
constexpr std::uint64_t kNormalizer = 3;
}  // namespace model_field
namespace piece_field {
constexpr std::uint64_t kText = 1;
constexpr std::uint64_t kScore = 2;
constexpr std::uint64_t kType = 3;
}  // namespace piece_field
namespace trainer_field {
constexpr std::uint64_t kModelType = 3;
constexpr std::uint64_t kWhitespaceAsSuffix = 24;
constexpr std::uint64_t kByteFallback = 35;
constexpr std::uint64_t kBosPiece = 46;
constexpr std::uint64_t kEosPiece = 47;
constexpr std::uint64_t kPadPiece = 48;
}  // namespace trainer_field
namespace normalizer_field {
constexpr std::uint64_t kCharsmap = 2;
constexpr std::uint64_t kAddDummyPrefix = 3;
constexpr std::uint64_t kRemoveExtraWhitespaces = 4;
constexpr std::uint64_t kEscapeWhitespaces = 5;
}  // namespace normalizer_field

SentencePieceModel::Piece read_piece(std::string_view message, std::size_t index) {
  ProtobufReader reader(message, fmt::format("pieces[{}]", index));
  SentencePieceModel::Piece piece;
  while (const auto field = reader.next()) {
    switch (field->number) {
      case piece_field::kText:
        reader.expect(*field, Wire::kBytes);
        piece.text = field->bytes;
        break;
      case piece_field::kScore:
        reader.expect(*field, Wire::kFixed32);
        piece.score = field->float32();
        break;
      case piece_field::kType:
        reader.expect(*field, Wire::kVarint);
        if (field->integer < 1 || field->integer > 6) {
          throw make_error(ErrorKind::kInvalidFile, "pieces[{}].type: expected 1 to 6, found {}",
                           index, field->integer);
        }
        piece.kind = static_cast<Kind>(field->integer);
        break;
      default:
        break;
    }
  }
  if (piece.text.empty()) {
    throw make_error(ErrorKind::kInvalidFile, "pieces[{}]: the text is empty", index);
  }
  if (!utf8::is_valid(piece.text)) {
    throw make_error(ErrorKind::kInvalidFile, "pieces[{}]: the text is not UTF-8", index);
  }
  if (std::isnan(piece.score)) {
    throw make_error(ErrorKind::kInvalidFile, "pieces[{}] \"{}\": the score is not a number", index,
                     piece.text);
  }
  return piece;
}

void read_trainer(std::string_view message, SentencePieceModel& model) {
  ProtobufReader reader(message, "trainer_spec");
  while (const auto field = reader.next()) {
    const auto flag = [&](bool& target) {
      reader.expect(*field, Wire::kVarint);
      target = field->flag();
    };
    const auto text = [&](std::string_view& target) {
      reader.expect(*field, Wire::kBytes);
      target = field->bytes;
    };
    switch (field->number) {
      case trainer_field::kModelType:
        reader.expect(*field, Wire::kVarint);
        if (field->integer < 1 || field->integer > 4) {
          throw make_error(ErrorKind::kUnsupported,
                           "trainer_spec.model_type: expected 1 to 4, found {}", field->integer);
        }
        model.type = static_cast<Type>(field->integer);
        break;
      case trainer_field::kWhitespaceAsSuffix:
        flag(model.whitespace_as_suffix);
        break;
      case trainer_field::kByteFallback:
        flag(model.byte_fallback);
        break;
      case trainer_field::kBosPiece:
        text(model.bos_piece);
        break;
      case trainer_field::kEosPiece:
        text(model.eos_piece);
        break;
      case trainer_field::kPadPiece:
        text(model.pad_piece);
        break;
      default:
        break;
    }
  }
}

void read_normalizer(std::string_view message, SentencePieceModel& model) {
  ProtobufReader reader(message, "normalizer_spec");
  while (const auto field = reader.next()) {
    const auto flag = [&](bool& target) {
      reader.expect(*field, Wire::kVarint);
      target = field->flag();
    };
    switch (field->number) {
      case normalizer_field::kCharsmap:
        reader.expect(*field, Wire::kBytes);
        model.charsmap = field->bytes;
        break;
      case normalizer_field::kAddDummyPrefix:
        flag(model.add_dummy_prefix);
        break;
      case normalizer_field::kRemoveExtraWhitespaces:
        flag(model.remove_extra_whitespaces);
        break;
      case normalizer_field::kEscapeWhitespaces:
        flag(model.escape_whitespaces);
        break;
      default:
        break;
    }
  }
}

void check_pieces(SentencePieceModel& model) {
  std::unordered_set<std::string_view> texts;
  texts.reserve(model.pieces.size());
  std::size_t unknown = 0;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < model.pieces.size(); ++i) {
    const SentencePieceModel::Piece& piece = model.pieces[i];
    if (!texts.insert(piece.text).second) {
      throw make_error(ErrorKind::kInvalidFile, "pieces[{}]: \"{}\" occurs twice", i, piece.text);
    }
    if (piece.kind == Kind::kUnknown) {
      ++unknown;
      model.unk = static_cast<TokenId>(i);
    }
    bytes += piece.kind == Kind::kByte && parse_byte_token(piece.text) ? 1 : 0;
  }
  if (unknown != 1) {
    throw make_error(ErrorKind::kInvalidFile, "pieces: expected one of type UNKNOWN, found {}",
                     unknown);
  }
  if (model.byte_fallback && bytes != 256) {
    throw make_error(ErrorKind::kInvalidFile,
                     "pieces: expected 256 of type BYTE as trainer_spec.byte_fallback is set, "
                     "found {}",
                     bytes);
  }
}

}  // namespace

SentencePieceModel SentencePieceModel::parse(std::string_view bytes) {
  SentencePieceModel model;
  ProtobufReader reader(bytes, "the model");
  while (const auto field = reader.next()) {
    switch (field->number) {
      case model_field::kPieces:
        reader.expect(*field, Wire::kBytes);
        model.pieces.push_back(read_piece(field->bytes, model.pieces.size()));
        break;
      case model_field::kTrainer:
        reader.expect(*field, Wire::kBytes);
        read_trainer(field->bytes, model);
        break;
      case model_field::kNormalizer:
        reader.expect(*field, Wire::kBytes);
        read_normalizer(field->bytes, model);
        break;
      default:
        break;
    }
  }
  if (model.type != Type::kUnigram && model.type != Type::kBytePair) {
    throw make_error(ErrorKind::kUnsupported,
                     "trainer_spec.model_type: word and character models are not supported; "
                     "expected 1 (unigram) or 2 (BPE)");
  }
  check_pieces(model);
  return model;
}

}  // namespace mistral::text
