// Reads little-endian numbers and strings from the front of a block of bytes. Every read is checked
// against what is left.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "core/error.h"

namespace mistral::formats {

static_assert(std::endian::native == std::endian::little, "files are read without swapping bytes");

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] std::size_t remaining() const { return bytes_.size() - position_; }

  // `what` names the field in the message when the bytes end too early (kInvalidFile).
  [[nodiscard]] std::span<const std::byte> take(std::uint64_t count, std::string_view what) {
    if (count > remaining()) {
      throw make_error(ErrorKind::kInvalidFile,
                       "{} at byte {} needs {} bytes, but the file ends after {} more", what,
                       position_, count, remaining());
    }
    const auto part = bytes_.subspan(position_, static_cast<std::size_t>(count));
    position_ += part.size();
    return part;
  }

  template <typename T>
  requires std::is_arithmetic_v<T>
  [[nodiscard]] T number(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  // Borrowed from the bytes.
  [[nodiscard]] std::string_view text(std::uint64_t length, std::string_view what) {
    const auto part = take(length, what);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
};

}  // namespace mistral::formats
