// SentencePiece's precompiled character map: a double array (as Darts-clone writes it) from byte
// sequences to their normalised form.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mistral::text {

class Charsmap {
 public:
  struct Match {
    std::size_t length;            // bytes of the input that are replaced
    std::string_view replacement;  // valid as long as the map
  };

  Charsmap() = default;
  // `blob`: u32 size of the array in bytes, the array, then NUL-terminated replacements. Throws
  // Error (kInvalidFile).
  explicit Charsmap(std::string_view blob);

  // The shortest or longest entry that `text` begins with.
  [[nodiscard]] std::optional<Match> shortest(std::string_view text) const;
  [[nodiscard]] std::optional<Match> longest(std::string_view text) const;

 private:
  template <typename Visit>
  void walk(std::string_view text, Visit&& visit) const;
  [[nodiscard]] std::string_view replacement(std::uint32_t offset) const;

  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

}  // namespace mistral::text
