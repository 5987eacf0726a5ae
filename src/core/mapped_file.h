// A whole file mapped read-only into memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace mistral {

class MappedFile {
 public:
  // Maps a regular file. Throws Error: kNotFound (no such file), kInvalidFile (a folder, empty,
  // not readable, not a regular file), kResource (mapping failed).
  explicit MappedFile(std::filesystem::path path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  // Tells the kernel that the whole pages inside `part` are not needed any more, so that they stop
  // counting towards the process; they are read again from the file if touched later.
  void release(std::span<const std::byte> part) const;
  // Takes the pages of `part`, which were released, out of the system's cache of files, too, where
  // nobody uses them.
  void forget(std::span<const std::byte> part) const;
  // Reads `part` into the system's cache of files and returns when it is there.
  void prefetch(std::span<const std::byte> part) const;
  // Brings the pages of `part` into the process, so that none is looked for when it is touched.
  // Throws Error (kInvalidFile) when the file does not have them any more.
  void populate(std::span<const std::byte> part) const;

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace mistral
