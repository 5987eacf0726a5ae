#include "core/mapped_file.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"

namespace mistral {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

ErrorKind kind_of_open_failure(int code) {
  switch (code) {
    case ENOENT:
    case ENOTDIR:
      return ErrorKind::kNotFound;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ErrorKind::kResource;
    default:
      return ErrorKind::kInvalidFile;
  }
}

std::uintptr_t page_size() {
  static const auto size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

void advise(std::uintptr_t begin, std::uintptr_t end, int advice) {
  // Advice only: a kernel that declines it changes nothing but speed.
  if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

}  // namespace

MappedFile::MappedFile(std::filesystem::path path) : path_(std::move(path)) {
  // Without O_NONBLOCK, opening a pipe would wait for its writer.
  const FileDescriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    const int code = errno;
    throw make_error(kind_of_open_failure(code), "cannot open '{}': {}", path_.string(),
                     std::strerror(code));
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    throw make_error(ErrorKind::kResource, "cannot examine '{}': {}", path_.string(),
                     std::strerror(errno));
  }
  if (S_ISDIR(status.st_mode)) {
    throw make_error(ErrorKind::kInvalidFile, "'{}' is a folder; expected a file", path_.string());
  }
  if (!S_ISREG(status.st_mode)) {
    throw make_error(ErrorKind::kInvalidFile,
                     "'{}' is a device, pipe or socket; expected a regular file", path_.string());
  }
  if (status.st_size <= 0) {
    throw make_error(ErrorKind::kInvalidFile, "'{}' is empty; expected a file with content",
                     path_.string());
  }
  if (static_cast<std::uint64_t>(status.st_size) > std::numeric_limits<std::ptrdiff_t>::max()) {
    throw make_error(ErrorKind::kResource, "'{}' has {} bytes, more than can be mapped",
                     path_.string(), status.st_size);
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) {
    throw make_error(ErrorKind::kResource, "cannot map '{}' ({} bytes): {}", path_.string(), size,
                     std::strerror(errno));
  }
  data_ = static_cast<const std::byte*>(data);
  size_ = size;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::release(std::span<const std::byte> part) const {
  // Pages at the borders may hold a neighbour's bytes and stay.
  const std::uintptr_t mask = page_size() - 1;
  const auto begin = reinterpret_cast<std::uintptr_t>(part.data());
  advise((begin + mask) & ~mask, (begin + part.size()) & ~mask, MADV_DONTNEED);
}

void MappedFile::forget(std::span<const std::byte> part) const {
  if (part.empty()) return;
  // Opened anew, so that no descriptor is held while a model runs. Should another file stand there
  // by now, it is read from the disk once more than it would be.
  const FileDescriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return;
  (void)::posix_fadvise(file.get(), part.data() - data_, static_cast<off_t>(part.size()),
                        POSIX_FADV_DONTNEED);
}

void MappedFile::prefetch(std::span<const std::byte> part) const {
  if (part.empty()) return;
  // Sent to nowhere, which copies nothing: so the system reads the file as for any program, in
  // large requests and large pages. What madvise() asks for comes in small ones, at half the speed.
  const FileDescriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const FileDescriptor nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  auto at = static_cast<off_t>(part.data() - data_);
  std::size_t left = part.size();
  while (left > 0) {
    const ssize_t sent = ::sendfile(nowhere.get(), file.get(), &at, left);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) break;
    left -= static_cast<std::size_t>(sent);
  }
  // Not every system of files knows this.
  const auto end = reinterpret_cast<std::uintptr_t>(part.data()) + part.size();
  if (left > 0) advise((end - left) & ~(page_size() - 1), end, MADV_WILLNEED);
}

void MappedFile::populate(std::span<const std::byte> part) const {
  if (part.empty()) return;
  const std::uintptr_t first = reinterpret_cast<std::uintptr_t>(part.data()) & ~(page_size() - 1);
  const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(part.data()) + part.size();
  while (::madvise(reinterpret_cast<void*>(first), end - first, MADV_POPULATE_READ) != 0) {
    if (errno == EINTR || errno == EAGAIN) continue;
    if (errno == EFAULT) {
      throw make_error(ErrorKind::kInvalidFile, "'{}' became shorter while it was read",
                       path_.string());
    }
    return;  // before Linux 5.14: they come when they are touched
  }
}

}  // namespace mistral
