// Builds safetensors files in memory, sound or broken.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace mistral::test {

// `header` and `data` as they are, with the length of the header in front.
[[nodiscard]] inline std::string safetensors_bytes(std::string_view header, std::string_view data) {
  const auto length = static_cast<std::uint64_t>(header.size());
  std::string out(sizeof(length), '\0');
  std::memcpy(out.data(), &length, sizeof(length));
  out += header;
  out += data;
  return out;
}

// A file with one tensor of four bytes.
[[nodiscard]] inline std::string one_tensor(std::string_view name, std::string_view data) {
  return safetensors_bytes(
      "{\"" + std::string(name) + R"(":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", data);
}

}  // namespace mistral::test
