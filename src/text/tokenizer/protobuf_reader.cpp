#include "text/tokenizer/protobuf_reader.h"

#include "core/error.h"

namespace mistral::text {

void ProtobufReader::fail(std::string_view what) const {
  throw make_error(ErrorKind::kInvalidFile, "{}: not a protocol buffer at byte {}: {}", where_, at_,
                   what);
}

std::uint64_t ProtobufReader::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (at_ >= message_.size()) fail("it ends inside a number");
    const auto byte = static_cast<std::uint8_t>(message_[at_++]);
    value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
    if (byte < 0x80) return value;
  }
  fail("a number has more than ten bytes");
}

std::uint64_t ProtobufReader::fixed(std::size_t bytes) {
  if (message_.size() - at_ < bytes) fail("it ends inside a number");
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i-- > 0;) {
    value = value << 8U | static_cast<std::uint8_t>(message_[at_ + i]);
  }
  at_ += bytes;
  return value;
}

std::optional<ProtobufReader::Field> ProtobufReader::next() {
  if (at_ >= message_.size()) return std::nullopt;
  Field field;
  const std::uint64_t key = varint();
  field.number = key >> 3U;
  if (field.number == 0) fail("a field has the number 0");
  switch (key & 7U) {
    case 0:
      field.integer = varint();
      break;
    case 1:
      field.wire = Field::Wire::kFixed64;
      field.integer = fixed(8);
      break;
    case 2: {
      field.wire = Field::Wire::kBytes;
      const std::uint64_t length = varint();
      if (length > message_.size() - at_) fail("a field is longer than the rest");
      field.bytes = message_.substr(at_, static_cast<std::size_t>(length));
      at_ += static_cast<std::size_t>(length);
      break;
    }
    case 5:
      field.wire = Field::Wire::kFixed32;
      field.integer = fixed(4);
      break;
    default:
      fail("a field has an unknown type");
  }
  return field;
}

void ProtobufReader::expect(const Field& field, Field::Wire wire) const {
  if (field.wire == wire) return;
  throw make_error(ErrorKind::kInvalidFile, "{}: field {}: expected wire type {}, found {}", where_,
                   field.number, static_cast<int>(wire), static_cast<int>(field.wire));
}

}  // namespace mistral::text
