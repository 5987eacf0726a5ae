// The keys that clients may use. Only their digests are kept, and comparing takes the same time
// whatever is compared.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace mistral::server {

class ApiKeys {
 public:
  // Throws Error (kInvalidArgument): it is empty or holds what no header can.
  void add(std::string_view key);
  // Several, separated by commas.
  void add_list(std::string_view keys);
  // One a line; empty lines and those that begin with # do not count. Throws Error that names the
  // file: it cannot be read, or holds no key.
  void add_file(const std::filesystem::path& path);

  [[nodiscard]] bool empty() const { return digests_.empty(); }
  [[nodiscard]] bool accepts(std::string_view key) const;
  // The key in an Authorization header ("Bearer …"); empty when there is none.
  [[nodiscard]] static std::string_view bearer(std::string_view authorization);

 private:
  using Digest = std::array<std::uint8_t, 32>;
  [[nodiscard]] static Digest digest(std::string_view key);

  std::vector<Digest> digests_;
};

}  // namespace mistral::server
