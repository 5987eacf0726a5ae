// GGUF files, versions 1 to 3, little-endian (gguf specification of the ggml project).
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/mapped_file.h"
#include "formats/weight_source.h"

namespace mistral::formats {

enum class GgufType : std::uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};
[[nodiscard]] std::string_view name(GgufType type);

struct GgufValue;

// An array keeps its elements in a typed vector: integers of any width as int64 or uint64, floats
// as double, so that readers need not care how a writer chose.
struct GgufArray {
  GgufType element_type = GgufType::kU8;
  std::variant<std::vector<std::int64_t>, std::vector<std::uint64_t>, std::vector<double>,
               std::vector<std::string_view>, std::vector<GgufValue>>
      elements;  // bool: int64 0/1; strings are borrowed from the mapped file
  [[nodiscard]] std::size_t size() const;
};

struct GgufValue {
  GgufType type = GgufType::kU8;
  std::variant<std::int64_t, std::uint64_t, double, bool, std::string_view, GgufArray> value;
};

// The key-value pairs of a file. Lookups convert between number types where the value fits;
// otherwise they throw Error (kInvalidFile) naming the key, the expected and the found type.
class GgufMetadata {
 public:
  struct Entry {
    std::string_view key;
    GgufValue value;
  };

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] const GgufValue* find(std::string_view key) const;
  [[nodiscard]] bool contains(std::string_view key) const { return find(key) != nullptr; }

  // Empty optional when the key is absent; Error when it is there with a wrong type.
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key) const;
  [[nodiscard]] std::optional<double> number(std::string_view key) const;
  [[nodiscard]] std::optional<bool> boolean(std::string_view key) const;
  [[nodiscard]] std::optional<std::string_view> string(std::string_view key) const;
  [[nodiscard]] const GgufArray* array(std::string_view key) const;  // nullptr when absent
  // Arrays by element kind; empty when absent.
  [[nodiscard]] std::vector<std::string_view> strings(std::string_view key) const;
  [[nodiscard]] std::vector<std::int64_t> integers(std::string_view key) const;
  [[nodiscard]] std::vector<double> numbers(std::string_view key) const;

  // As above, but an absent key throws Error (kInvalidFile) naming it.
  [[nodiscard]] std::int64_t require_integer(std::string_view key) const;
  [[nodiscard]] double require_number(std::string_view key) const;
  [[nodiscard]] std::string_view require_string(std::string_view key) const;

  void add(Entry entry) { entries_.push_back(std::move(entry)); }

 private:
  std::vector<Entry> entries_;  // a few dozen: a linear search is enough
};

class GgufFile final : public WeightSource {
 public:
  // Opens one file, or all shards of a split model (in any order; the metadata is that of shard
  // 0). One path that is shard 1 of N finds its sisters by name (-00001-of-0000N.gguf).
  // Every count and length is checked against the file before it is used. Throws Error
  // (kNotFound, kInvalidFile, kUnsupported for big-endian files and removed tensor types).
  [[nodiscard]] static std::shared_ptr<const GgufFile> open(
      const std::vector<std::filesystem::path>& paths);

  // A file of another container that was translated (formats/ggml.h): `metadata` may borrow from
  // `file` and `texts`, `tensors` are views into `file`. Throws Error (kInvalidFile) for a name
  // that occurs twice.
  [[nodiscard]] static std::shared_ptr<const GgufFile> adopt(MappedFile file, GgufMetadata metadata,
                                                             std::vector<TensorInfo> tensors,
                                                             std::deque<std::string> texts);

  ~GgufFile() override;
  [[nodiscard]] const GgufMetadata& metadata() const;
  [[nodiscard]] std::uint32_t version() const;          // 0: adopted
  [[nodiscard]] std::string_view architecture() const;  // general.architecture

  [[nodiscard]] std::span<const TensorInfo> tensors() const override;
  [[nodiscard]] const TensorInfo* find(std::string_view name) const override;
  [[nodiscard]] const std::vector<std::filesystem::path>& files() const override;
  void release(const TensorInfo& tensor) const override;
  void forget(const TensorInfo& tensor) const override;
  void prefetch(const TensorInfo& tensor) const override;
  void populate(const TensorInfo& tensor) const override;

 private:
  struct Impl;
  explicit GgufFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mistral::formats
