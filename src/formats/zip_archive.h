// The directory of a zip archive in memory, zip64 included. Entries are looked up by name and
// never written anywhere; all places are checked against the bytes that are there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace mistral::formats {

struct ZipEntry {
  std::string_view name;  // borrowed from the bytes
  std::span<const std::byte> data;
  std::uint16_t method = 0;  // 0: stored as it is
  bool encrypted = false;
};

class ZipArchive {
 public:
  // Throws Error (kInvalidFile; kUnsupported for archives of several disks) without naming the
  // file: no or a broken directory, entries outside of the bytes, a name twice.
  explicit ZipArchive(std::span<const std::byte> bytes);

  [[nodiscard]] std::span<const ZipEntry> entries() const { return entries_; }  // by name
  [[nodiscard]] const ZipEntry* find(std::string_view name) const;
  // The content of an entry. Throws Error: kNotFound, kUnsupported when it is compressed or
  // encrypted.
  [[nodiscard]] std::span<const std::byte> read(std::string_view name) const;

 private:
  std::vector<ZipEntry> entries_;
};

}  // namespace mistral::formats
