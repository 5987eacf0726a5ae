#include "formats/gguf_shards.h"

#include <optional>
#include <utility>

#include "core/error.h"
#include "formats/shard_name.h"

namespace mistral::formats {
namespace {

constexpr std::int64_t kMaxShards = 65535;  // split.count is 16 bits wide

struct SplitInfo {
  std::int64_t number = 0;  // from 0
  std::int64_t count = 1;
  std::optional<std::int64_t> tensor_count;  // of the whole model
};

GgufShard open_shard(const std::filesystem::path& path) {
  MappedFile file(path);
  try {
    ParsedGguf content = parse_gguf(file.bytes());
    return {std::move(file), std::move(content)};
  } catch (Error& error) {
    error.add_context(fmt::format("reading '{}'", path.string()));
    throw;
  }
}

// None for a file that is not part of a split model.
std::optional<SplitInfo> split_info(const GgufShard& shard) {
  const GgufMetadata& metadata = shard.content.metadata;
  try {
    const auto count = metadata.integer("split.count");
    if (!count || *count == 0) return std::nullopt;
    if (*count < 0 || *count > kMaxShards) {
      throw make_error(ErrorKind::kInvalidFile, "key 'split.count' is {}; expected 1 to {}", *count,
                       kMaxShards);
    }
    const std::int64_t number = metadata.require_integer("split.no");
    if (number < 0 || number >= *count) {
      throw make_error(ErrorKind::kInvalidFile, "key 'split.no' is {}; expected 0 to {}", number,
                       *count - 1);
    }
    return SplitInfo{number, *count, metadata.integer("split.tensors.count")};
  } catch (Error& error) {
    error.add_context(fmt::format("reading '{}'", shard.file.path().string()));
    throw;
  }
}

// The paths of the other shards of a model whose shard 1 is `first`.
std::vector<std::filesystem::path> sister_paths(const std::filesystem::path& first,
                                                const SplitInfo& split) {
  if (split.number != 0) {
    throw make_error(ErrorKind::kInvalidFile,
                     "'{}' is shard {} of {}; expected the path of shard 1, or all {} paths",
                     first.string(), split.number + 1, split.count, split.count);
  }
  const auto name = parse_shard_name(first.filename().string());
  if (!name || name->number != 1 || name->count != static_cast<std::uint64_t>(split.count)) {
    throw make_error(ErrorKind::kInvalidFile,
                     "'{}' is shard 1 of {}, but its name does not end in '-00001-of-{:05}.gguf', "
                     "so the others cannot be found; expected all {} paths",
                     first.string(), split.count, split.count, split.count);
  }
  std::vector<std::filesystem::path> paths;
  for (std::uint32_t number = 2; number <= name->count; ++number) {
    paths.push_back(first.parent_path() / name->sister(number));
  }
  return paths;
}

// Checks that the shards belong together and puts them into the order of their numbers.
std::vector<GgufShard> in_order(std::vector<GgufShard> shards) {
  std::vector<std::optional<GgufShard>> slots(shards.size());
  const std::string first_path = shards.front().file.path().string();
  std::optional<std::int64_t> count;
  std::size_t tensor_count = 0;
  for (GgufShard& shard : shards) {
    const std::string path = shard.file.path().string();
    const auto split = split_info(shard);
    if (!split) {
      throw make_error(ErrorKind::kInvalidFile,
                       "{} files are given, but '{}' is not a shard of a split model: key "
                       "'split.count' is missing",
                       shards.size(), path);
    }
    if (!count) count = split->count;
    if (split->count != *count) {
      throw make_error(ErrorKind::kInvalidFile,
                       "'{}' belongs to a model of {} shards, but '{}' to one of {}", path,
                       split->count, first_path, *count);
    }
    if (static_cast<std::uint64_t>(split->count) != shards.size()) {
      throw make_error(ErrorKind::kInvalidFile, "'{}' is one of {} shards, but {} files are given",
                       path, split->count, shards.size());
    }
    auto& slot = slots[static_cast<std::size_t>(split->number)];
    if (slot) {
      throw make_error(ErrorKind::kInvalidFile, "'{}' and '{}' are both shard {} of {}",
                       slot->file.path().string(), path, split->number + 1, split->count);
    }
    tensor_count += shard.content.tensors.size();
    slot = std::move(shard);
  }
  std::vector<GgufShard> out;
  out.reserve(slots.size());
  for (auto& slot : slots) {
    const auto claimed = split_info(*slot)->tensor_count;
    if (claimed && std::cmp_not_equal(*claimed, tensor_count)) {
      throw make_error(ErrorKind::kInvalidFile,
                       "'{}': key 'split.tensors.count' is {}, but the shards hold {} tensors",
                       slot->file.path().string(), *claimed, tensor_count);
    }
    out.push_back(std::move(*slot));
  }
  return out;
}

}  // namespace

std::vector<GgufShard> open_gguf_shards(const std::vector<std::filesystem::path>& paths) {
  if (paths.empty()) {
    throw Error(ErrorKind::kInvalidArgument, "no GGUF file is given; expected at least one path");
  }
  std::vector<GgufShard> shards;
  for (const auto& path : paths) shards.push_back(open_shard(path));
  if (shards.size() == 1) {
    const auto split = split_info(shards.front());
    if (!split || split->count == 1) return shards;
    for (const auto& path : sister_paths(paths.front(), *split)) {
      try {
        shards.push_back(open_shard(path));
      } catch (Error& error) {
        error.add_context(
            fmt::format("'{}' is shard 1 of {}", paths.front().string(), split->count));
        throw;
      }
    }
  }
  return in_order(std::move(shards));
}

}  // namespace mistral::formats
