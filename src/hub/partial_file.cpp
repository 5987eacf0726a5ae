#include "hub/partial_file.h"

#include <algorithm>
#include <system_error>

#include <fcntl.h>
#include <sys/statvfs.h>

#include "core/error.h"

namespace mistral::hub {
namespace {

namespace fs = std::filesystem;

// Scans of a cache know unfinished files by this ending. The name is not that of huggingface_hub
// (ETAG.incomplete), which takes every byte up to the end of the file as received.
constexpr const char* kPartialEnding = ".mistralcpp.incomplete";
constexpr const char* kJournalEnding = ".mistralcpp.journal";
constexpr const char* kPythonEnding = ".incomplete";

struct JournalHeader {
  std::uint64_t magic = 0x314c4e524a425548;  // changes with the layout
  std::uint64_t size = 0;
  std::uint64_t piece_bytes = 0;
  bool operator==(const JournalHeader&) const = default;
};

fs::path with_ending(const fs::path& blob, const char* ending) {
  return blob.parent_path() / (blob.filename().string() + ending);
}

void check_room(const fs::path& file, std::uint64_t bytes) {
  struct statvfs system {};
  if (::statvfs(file.parent_path().c_str(), &system) != 0) return;
  const std::uint64_t free = std::uint64_t{system.f_bavail} * system.f_frsize;
  if (free >= bytes) return;
  throw make_error(
      ErrorKind::kResource,
      "{}: {} MiB are needed, but only {} MiB are free on this file system; free some, "
      "or name another folder in HF_HUB_CACHE",
      file.parent_path().string(), (bytes >> 20U) + 1, free >> 20U);
}

// Takes over what huggingface_hub has received: its file grows from the front.
bool adopt_python_file(const fs::path& blob, const fs::path& partial) {
  std::error_code error;
  if (fs::exists(partial, error)) return false;
  fs::rename(with_ending(blob, kPythonEnding), partial, error);
  return !error;
}

}  // namespace

PartialFile::PartialFile(const fs::path& blob, std::uint64_t size, std::uint64_t piece_bytes)
    : blob_(blob),
      path_(with_ending(blob, kPartialEnding)),
      journal_path_(with_ending(blob, kJournalEnding)),
      size_(size),
      piece_bytes_(std::max<std::uint64_t>(piece_bytes, 1)),
      adopted_(adopt_python_file(blob, path_)),
      file_(FileHandle::open(path_, O_RDWR | O_CREAT)),
      journal_(FileHandle::open(journal_path_, O_RDWR | O_CREAT)),
      done_(static_cast<std::size_t>(
          std::max<std::uint64_t>(size / piece_bytes_ + (size % piece_bytes_ == 0 ? 0 : 1), 1))) {
  if (!read_journal()) {
    std::uint64_t front = adopted_ ? std::min(file_.size(), size_) : 0;
    if (!adopted_) file_.resize(0);
    for (std::size_t piece = 0; piece < done_.size(); ++piece) {
      done_[piece] = std::min(front, piece_size(piece));
      front -= done_[piece];
    }
    write_journal();
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t bytes : done_) sum += bytes;
  received_ = sum;
  resumed_ = sum > 0;
  check_room(path_, size_ - sum);
}

std::uint64_t PartialFile::piece_size(std::size_t piece) const {
  return std::min(piece_bytes_, size_ - piece * piece_bytes_);
}

bool PartialFile::read_journal() {
  JournalHeader header;
  const JournalHeader expected{.size = size_, .piece_bytes = piece_bytes_};
  const auto header_bytes = std::as_writable_bytes(std::span(&header, 1));
  const auto done_bytes = std::as_writable_bytes(std::span(done_));
  if (journal_.read_at(0, header_bytes) != header_bytes.size() || header != expected) return false;
  bool valid = journal_.read_at(sizeof header, done_bytes) == done_bytes.size();
  const std::uint64_t end = file_.size();
  for (std::size_t piece = 0; piece < done_.size() && valid; ++piece) {
    valid = done_[piece] <= piece_size(piece) &&
            (done_[piece] == 0 || piece * piece_bytes_ + done_[piece] <= end);
  }
  if (!valid) std::ranges::fill(done_, 0);
  return valid;
}

void PartialFile::write_journal() {
  const JournalHeader header{.size = size_, .piece_bytes = piece_bytes_};
  journal_.resize(0);
  journal_.write_at(sizeof header, std::as_bytes(std::span(done_)));
  journal_.write_at(0, std::as_bytes(std::span(&header, 1)));
}

ByteRange PartialFile::missing(std::size_t piece) const {
  const std::uint64_t begin = piece * piece_bytes_;
  return {begin + done_[piece], begin + piece_size(piece)};
}

void PartialFile::append(std::size_t piece, std::span<const std::byte> data) {
  const ByteRange place = missing(piece);
  if (data.size() > place.end - place.begin) {
    throw make_error(ErrorKind::kInternal, "{}: more bytes than the piece has", path_.string());
  }
  file_.write_at(place.begin, data);
  done_[piece] += data.size();
  received_ += data.size();
  // After the bytes themselves: what the journal says has arrived.
  journal_.write_at(sizeof(JournalHeader) + piece * sizeof done_[piece],
                    std::as_bytes(std::span(&done_[piece], 1)));
}

void PartialFile::restart() {
  std::ranges::fill(done_, 0);
  received_ = 0;
  resumed_ = false;
  file_.resize(0);
  write_journal();
}

void PartialFile::finish() {
  file_.sync();
  std::error_code error;
  fs::rename(path_, blob_, error);
  if (error) {
    throw make_error(ErrorKind::kResource, "{}: cannot be put into place: {}", blob_.string(),
                     error.message());
  }
  fs::remove(journal_path_, error);
}

void PartialFile::discard() {
  std::error_code ignored;
  fs::remove(path_, ignored);
  fs::remove(journal_path_, ignored);
}

}  // namespace mistral::hub
