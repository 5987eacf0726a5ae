// Names of the files of a split model: "<stem>-00001-of-00003<extension>".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mistral {

struct ShardName {
  std::string stem;
  std::string extension;     // with its dot
  std::uint32_t number = 0;  // from 1
  std::uint32_t count = 0;

  // The file name of another shard of the same model.
  [[nodiscard]] std::string sister(std::uint32_t other_number) const;
};

// None when the name has another form, or a number outside 1..count.
[[nodiscard]] std::optional<ShardName> parse_shard_name(std::string_view file_name);

}  // namespace mistral
