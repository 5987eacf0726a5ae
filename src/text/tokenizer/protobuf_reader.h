// Walks the fields of a protocol buffer message that may be damaged.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mistral::text {

class ProtobufReader {
 public:
  struct Field {
    std::uint64_t number = 0;
    enum class Wire { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 } wire = Wire::kVarint;
    std::uint64_t integer = 0;  // all but kBytes
    std::string_view bytes;     // kBytes

    [[nodiscard]] bool flag() const { return integer != 0; }
    [[nodiscard]] std::int32_t int32() const { return static_cast<std::int32_t>(integer); }
    [[nodiscard]] float float32() const {
      return std::bit_cast<float>(static_cast<std::uint32_t>(integer));
    }
  };

  // `where` names the message in errors.
  ProtobufReader(std::string_view message, std::string where)
      : message_(message), where_(std::move(where)) {}

  // The next field, none at the end. Throws Error (kInvalidFile) with the place of the damage.
  [[nodiscard]] std::optional<Field> next();
  // Throws Error (kInvalidFile) unless `field` has the wire type.
  void expect(const Field& field, Field::Wire wire) const;

 private:
  [[nodiscard]] std::uint64_t varint();
  [[nodiscard]] std::uint64_t fixed(std::size_t bytes);
  [[noreturn]] void fail(std::string_view what) const;

  std::string_view message_;
  std::string where_;
  std::size_t at_ = 0;
};

}  // namespace mistral::text
