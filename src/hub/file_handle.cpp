#include "hub/file_handle.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/log.h"

namespace mistral::hub {
namespace {

constexpr int kFileMode = 0666;  // less the umask, as other programs make their files
constexpr auto kLockPoll = std::chrono::milliseconds(50);

[[noreturn]] void fail(const std::filesystem::path& path, const char* what) {
  const int error = errno;
  const auto kind = error == ENOENT ? ErrorKind::kNotFound : ErrorKind::kResource;
  throw make_error(kind, "{}: cannot {}: {}", path.string(), what, std::strerror(error));
}

// Some file systems (network mounts) know no locks: working without one is better than not working,
// as checksums find what two writers at once would do.
bool locks_are_missing(int error) {
  return error == ENOSYS || error == ENOTSUP || error == EOPNOTSUPP || error == ENOLCK;
}

}  // namespace

FileHandle FileHandle::open(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, kFileMode);
  if (descriptor < 0) fail(path, "open it");
  return {path, descriptor};
}

FileHandle::~FileHandle() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FileHandle::FileHandle(FileHandle&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

FileHandle& FileHandle::operator=(FileHandle&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

std::uint64_t FileHandle::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) fail(path_, "find out its size");
  return static_cast<std::uint64_t>(status.st_size);
}

std::size_t FileHandle::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = ::pread(descriptor_, out.data() + done, out.size() - done,
                                  static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path_, "read it");
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

void FileHandle::write_at(std::uint64_t offset, std::span<const std::byte> data) const {
  std::size_t done = 0;
  while (done < data.size()) {
    const ssize_t count = ::pwrite(descriptor_, data.data() + done, data.size() - done,
                                   static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path_, "write it");
    done += static_cast<std::size_t>(count);
  }
}

void FileHandle::resize(std::uint64_t size) const {
  if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) fail(path_, "set its size");
}

void FileHandle::sync() const {
  if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS) fail(path_, "write it out");
}

std::optional<FileLock> FileLock::try_acquire(const std::filesystem::path& path) {
  while (true) {
    // Not truncated: the file may be held by another, and its content is none of ours.
    FileHandle handle = FileHandle::open(path, O_RDWR | O_CREAT | O_NOFOLLOW);
    if (::flock(handle.descriptor(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK || errno == EACCES) return std::nullopt;
      if (errno == EINTR) continue;
      if (!locks_are_missing(errno)) fail(path, "lock it");
      log::warn("{}: this file system has no locks; do not download the same model twice at once",
                path.string());
      return FileLock(std::move(handle));
    }
    struct stat status {};
    // A lock on a file that somebody removed meanwhile keeps nobody out.
    if (::fstat(handle.descriptor(), &status) == 0 && status.st_nlink == 0) continue;
    return FileLock(std::move(handle));
  }
}

FileLock FileLock::acquire(const std::filesystem::path& path,
                           const std::function<bool()>& cancelled,
                           const std::function<void()>& on_wait) {
  bool waited = false;
  while (true) {
    if (auto lock = try_acquire(path)) return std::move(*lock);
    if (!waited && on_wait) on_wait();
    waited = true;
    if (cancelled && cancelled()) throw Error(ErrorKind::kCancelled, "interrupted");
    std::this_thread::sleep_for(kLockPoll);
  }
}

}  // namespace mistral::hub
