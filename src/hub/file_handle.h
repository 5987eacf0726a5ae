// A file by its descriptor: what the standard streams cannot do (offsets from several threads,
// syncing, locks). Every failure is an Error that names the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>

namespace mistral::hub {

class FileHandle {
 public:
  // flags as for open(2); O_CLOEXEC is added. Throws Error (kResource; kNotFound for ENOENT).
  [[nodiscard]] static FileHandle open(const std::filesystem::path& path, int flags);
  ~FileHandle();
  FileHandle(FileHandle&& other) noexcept;
  FileHandle& operator=(FileHandle&& other) noexcept;
  FileHandle(const FileHandle&) = delete;
  FileHandle& operator=(const FileHandle&) = delete;

  [[nodiscard]] std::uint64_t size() const;
  // Bytes read, fewer than asked for only at the end of the file.
  [[nodiscard]] std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const;
  void write_at(std::uint64_t offset, std::span<const std::byte> data) const;
  void resize(std::uint64_t size) const;
  void sync() const;
  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  FileHandle(std::filesystem::path path, int descriptor)
      : path_(std::move(path)), descriptor_(descriptor) {}

  std::filesystem::path path_;
  int descriptor_ = -1;
};

// An exclusive lock between processes: flock(2) on a file that stays, as Python's filelock does it,
// so that both kinds of clients wait for each other. Freed by the destructor and when the process
// ends, however it ends.
class FileLock {
 public:
  // Waits. `cancelled` is asked meanwhile; `on_wait` is called once when another process holds the
  // lock. Throws Error: kCancelled, kResource (the file cannot be made).
  [[nodiscard]] static FileLock acquire(const std::filesystem::path& path,
                                        const std::function<bool()>& cancelled,
                                        const std::function<void()>& on_wait);
  // None when another process holds it.
  [[nodiscard]] static std::optional<FileLock> try_acquire(const std::filesystem::path& path);

 private:
  explicit FileLock(FileHandle handle) : handle_(std::move(handle)) {}
  FileHandle handle_;
};

}  // namespace mistral::hub
