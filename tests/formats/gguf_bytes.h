// Builds GGUF files in memory, sound or broken, field by field.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"

namespace mistral::test {

class GgufBytes {
 public:
  explicit GgufBytes(std::uint32_t version = 3) : version_(version) {}

  template <typename T>
  GgufBytes& kv(std::string_view key, formats::GgufType type, T value) {
    return raw_kv(key, static_cast<std::uint32_t>(type), bytes_of(value));
  }
  GgufBytes& text(std::string_view key, std::string_view value) {
    return raw_kv(key, static_cast<std::uint32_t>(formats::GgufType::kString), string(value));
  }
  GgufBytes& array(std::string_view key, formats::GgufType element, std::uint64_t count,
                   std::string_view elements) {
    return raw_kv(
        key, static_cast<std::uint32_t>(formats::GgufType::kArray),
        bytes_of(static_cast<std::uint32_t>(element)) + length(count) + std::string(elements));
  }
  GgufBytes& raw_kv(std::string_view key, std::uint32_t type, std::string_view value) {
    kvs_ += string(key) + bytes_of(type);
    kvs_ += value;
    ++kv_count_;
    return *this;
  }
  // Dimensions as the file lists them: fastest first.
  GgufBytes& tensor(std::string_view name, const std::vector<std::uint64_t>& dims,
                    std::uint32_t type, std::uint64_t offset) {
    tensors_ += string(name) + bytes_of(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t dim : dims) tensors_ += length(dim);
    tensors_ += bytes_of(type) + bytes_of(offset);
    ++tensor_count_;
    return *this;
  }
  GgufBytes& data(std::string_view bytes, std::size_t alignment = 32) {
    data_ = bytes;
    alignment_ = alignment;
    return *this;
  }

  // The bytes before the data section, without padding.
  [[nodiscard]] std::string header() const {
    return "GGUF" + bytes_of(version_) + length(tensor_count_) + length(kv_count_) + kvs_ +
           tensors_;
  }
  [[nodiscard]] std::string build() const {
    std::string out = header();
    out.resize((out.size() + alignment_ - 1) / alignment_ * alignment_);
    return out + data_;
  }

  // A string or a count as this version writes it.
  [[nodiscard]] std::string string(std::string_view text) const {
    return length(text.size()) + std::string(text);
  }
  [[nodiscard]] std::string length(std::uint64_t value) const {
    return version_ == 1 ? bytes_of(static_cast<std::uint32_t>(value)) : bytes_of(value);
  }
  template <typename T>
  [[nodiscard]] static std::string bytes_of(T value) {
    std::string out(sizeof(T), '\0');
    std::memcpy(out.data(), &value, sizeof(T));
    return out;
  }

 private:
  std::uint32_t version_;
  std::uint64_t kv_count_ = 0;
  std::uint64_t tensor_count_ = 0;
  std::string kvs_;
  std::string tensors_;
  std::string data_;
  std::size_t alignment_ = 32;
};

// A view of text as bytes; the text must outlive it.
[[nodiscard]] inline std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

}  // namespace mistral::test
