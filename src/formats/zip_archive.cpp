#include "formats/zip_archive.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <string>

#include "core/error.h"
#include "formats/byte_reader.h"
#include "formats/printable.h"

namespace mistral::formats {
namespace {

// Signatures and layouts: APPNOTE.TXT of PKWARE, version 6.3.
constexpr std::uint32_t kLocalHeader = 0x04034b50;
constexpr std::uint32_t kDirectoryHeader = 0x02014b50;
constexpr std::uint32_t kDirectoryEnd = 0x06054b50;
constexpr std::uint32_t kDirectoryEnd64 = 0x06064b50;
constexpr std::uint32_t kDirectoryEnd64Locator = 0x07064b50;
constexpr std::size_t kDirectoryEndBytes = 22;
constexpr std::size_t kLocatorBytes = 20;
constexpr std::size_t kMaxComment = 0xFFFF;
constexpr std::uint16_t kZip64Extra = 0x0001;
constexpr std::uint32_t kIn64 = 0xFFFFFFFF;  // the number stands in the zip64 extra field

std::uint32_t number_at(std::span<const std::byte> bytes, std::size_t position) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + position, sizeof(value));
  return value;
}

// A reader of the bytes from `position` on.
ByteReader reader_at(std::span<const std::byte> bytes, std::uint64_t position,
                     std::string_view what) {
  if (position > bytes.size()) {
    throw make_error(ErrorKind::kInvalidFile, "{} is said to be at byte {}, but there are only {}",
                     what, position, bytes.size());
  }
  return ByteReader(bytes.subspan(static_cast<std::size_t>(position)));
}

// The record at the end of an archive is followed only by a comment of the length that it states.
std::size_t find_directory_end(std::span<const std::byte> bytes) {
  if (bytes.size() >= kDirectoryEndBytes) {
    const std::size_t last = bytes.size() - kDirectoryEndBytes;
    for (std::size_t back = 0; back <= std::min(last, kMaxComment); ++back) {
      const std::size_t position = last - back;
      std::uint16_t comment = 0;
      std::memcpy(&comment, bytes.data() + position + 20, sizeof(comment));
      if (number_at(bytes, position) == kDirectoryEnd && comment == back) return position;
    }
  }
  throw Error(ErrorKind::kInvalidFile,
              "the directory at the end of the zip archive is missing: the file is cut off");
}

struct Directory {
  std::uint64_t disk = 0;
  std::uint64_t entries_here = 0;
  std::uint64_t entries = 0;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
  std::size_t end = 0;  // where the record was found
};

Directory read_directory_end(std::span<const std::byte> bytes) {
  constexpr std::string_view kWhat = "the end of the zip directory";
  Directory out;
  out.end = find_directory_end(bytes);
  if (out.end >= kLocatorBytes &&
      number_at(bytes, out.end - kLocatorBytes) == kDirectoryEnd64Locator) {
    ByteReader locator(bytes.subspan(out.end - kLocatorBytes));
    (void)locator.take(8, kWhat);  // signature, disk
    const auto position = locator.number<std::uint64_t>(kWhat);
    ByteReader reader = reader_at(bytes, position, "the zip64 end of the directory");
    if (reader.number<std::uint32_t>(kWhat) != kDirectoryEnd64) {
      throw make_error(ErrorKind::kInvalidFile, "no zip64 end of the directory at byte {}",
                       position);
    }
    out.end = static_cast<std::size_t>(position);
    (void)reader.take(12, kWhat);  // size of the record, versions
    out.disk = reader.number<std::uint32_t>(kWhat) | reader.number<std::uint32_t>(kWhat);
    out.entries_here = reader.number<std::uint64_t>(kWhat);
    out.entries = reader.number<std::uint64_t>(kWhat);
    out.size = reader.number<std::uint64_t>(kWhat);
    out.offset = reader.number<std::uint64_t>(kWhat);
    return out;
  }
  ByteReader reader(bytes.subspan(out.end));
  (void)reader.take(4, kWhat);  // signature
  out.disk = static_cast<std::uint64_t>(reader.number<std::uint16_t>(kWhat)) |
             reader.number<std::uint16_t>(kWhat);
  out.entries_here = reader.number<std::uint16_t>(kWhat);
  out.entries = reader.number<std::uint16_t>(kWhat);
  out.size = reader.number<std::uint32_t>(kWhat);
  out.offset = reader.number<std::uint32_t>(kWhat);
  return out;
}

std::span<const std::byte> directory_bytes(std::span<const std::byte> bytes,
                                           const Directory& directory) {
  if (directory.disk != 0 || directory.entries_here != directory.entries) {
    throw Error(ErrorKind::kUnsupported, "a zip archive of several files; expected one");
  }
  if (directory.offset > directory.end || directory.size > directory.end - directory.offset) {
    throw make_error(ErrorKind::kInvalidFile,
                     "the zip directory is said to be {} bytes at byte {}, but it must end before "
                     "byte {}",
                     directory.size, directory.offset, directory.end);
  }
  return bytes.subspan(static_cast<std::size_t>(directory.offset),
                       static_cast<std::size_t>(directory.size));
}

struct Header {
  std::string_view name;
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::uint64_t packed_size = 0;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;  // of the local header
};

// Numbers that do not fit 32 bits stand in an extra field, in this order.
void read_zip64(std::span<const std::byte> extra, Header& header) {
  ByteReader reader(extra);
  constexpr std::string_view kWhat = "an extra field in the zip directory";
  while (reader.remaining() >= 4) {
    const auto id = reader.number<std::uint16_t>(kWhat);
    const auto length = reader.number<std::uint16_t>(kWhat);
    ByteReader field(reader.take(length, kWhat));
    if (id != kZip64Extra) continue;
    for (std::uint64_t* number : {&header.size, &header.packed_size, &header.offset}) {
      if (*number == kIn64) *number = field.number<std::uint64_t>(kWhat);
    }
    return;
  }
}

Header read_header(ByteReader& reader) {
  constexpr std::string_view kWhat = "an entry of the zip directory";
  if (reader.number<std::uint32_t>(kWhat) != kDirectoryHeader) {
    throw make_error(ErrorKind::kInvalidFile, "the zip directory is broken at its byte {}",
                     reader.position() - 4);
  }
  Header header;
  (void)reader.take(4, kWhat);  // versions
  header.flags = reader.number<std::uint16_t>(kWhat);
  header.method = reader.number<std::uint16_t>(kWhat);
  (void)reader.take(8, kWhat);  // time, date, checksum
  header.packed_size = reader.number<std::uint32_t>(kWhat);
  header.size = reader.number<std::uint32_t>(kWhat);
  const auto name_length = reader.number<std::uint16_t>(kWhat);
  const auto extra_length = reader.number<std::uint16_t>(kWhat);
  const auto comment_length = reader.number<std::uint16_t>(kWhat);
  (void)reader.take(8, kWhat);  // disk, attributes
  header.offset = reader.number<std::uint32_t>(kWhat);
  header.name = reader.text(name_length, kWhat);
  read_zip64(reader.take(extra_length, kWhat), header);
  (void)reader.take(comment_length, kWhat);
  return header;
}

// Finds the data of an entry, which must lie before the directory.
ZipEntry locate(std::span<const std::byte> before_directory, const Header& header) {
  constexpr std::string_view kWhat = "the header of a zip entry";
  const std::string name = printable(header.name);
  ByteReader reader = reader_at(before_directory, header.offset, "zip entry " + name);
  if (reader.number<std::uint32_t>(kWhat) != kLocalHeader) {
    throw make_error(ErrorKind::kInvalidFile, "zip entry {}: no header at byte {}", name,
                     header.offset);
  }
  (void)reader.take(22, kWhat);  // as in the directory
  const auto name_length = reader.number<std::uint16_t>(kWhat);
  const auto extra_length = reader.number<std::uint16_t>(kWhat);
  if (const auto local = reader.text(name_length, kWhat); local != header.name) {
    throw make_error(ErrorKind::kInvalidFile, "zip entry {} is called {} in its own header", name,
                     printable(local));
  }
  (void)reader.take(extra_length, kWhat);
  constexpr std::uint16_t kEncrypted = 1;
  ZipEntry entry{header.name, {}, header.method, (header.flags & kEncrypted) != 0};
  if (entry.method == 0 && header.packed_size != header.size) {
    throw make_error(ErrorKind::kInvalidFile,
                     "zip entry {} is stored as it is, but has {} bytes and is said to have {}",
                     name, header.packed_size, header.size);
  }
  entry.data = reader.take(header.packed_size, "the data of zip entry " + name);
  return entry;
}

}  // namespace

ZipArchive::ZipArchive(std::span<const std::byte> bytes) {
  const Directory directory = read_directory_end(bytes);
  const auto part = directory_bytes(bytes, directory);
  const auto before = bytes.first(static_cast<std::size_t>(directory.offset));
  // Counted before anything is allocated: the number that the archive states may be any.
  std::size_t count = 0;
  for (ByteReader reader(part); reader.remaining() > 0; ++count) (void)read_header(reader);
  if (count != directory.entries) {
    throw make_error(ErrorKind::kInvalidFile,
                     "the zip directory holds {} entries, but is said to hold {}", count,
                     directory.entries);
  }
  entries_.reserve(count);
  for (ByteReader reader(part); reader.remaining() > 0;) {
    entries_.push_back(locate(before, read_header(reader)));
  }
  const auto by_name = [](const ZipEntry& a, const ZipEntry& b) { return a.name < b.name; };
  std::sort(entries_.begin(), entries_.end(), by_name);
  const auto twice =
      std::adjacent_find(entries_.begin(), entries_.end(),
                         [](const ZipEntry& a, const ZipEntry& b) { return a.name == b.name; });
  if (twice != entries_.end()) {
    throw make_error(ErrorKind::kInvalidFile, "zip entry {} occurs twice", printable(twice->name));
  }
}

const ZipEntry* ZipArchive::find(std::string_view name) const {
  const auto entry =
      std::lower_bound(entries_.begin(), entries_.end(), name,
                       [](const ZipEntry& a, std::string_view b) { return a.name < b; });
  return entry != entries_.end() && entry->name == name ? &*entry : nullptr;
}

std::span<const std::byte> ZipArchive::read(std::string_view name) const {
  const ZipEntry* entry = find(name);
  if (entry == nullptr) {
    throw make_error(ErrorKind::kNotFound, "the zip archive has no entry {}", printable(name));
  }
  if (entry->encrypted) {
    throw make_error(ErrorKind::kUnsupported, "zip entry {} is encrypted", printable(name));
  }
  if (entry->method != 0) {
    throw make_error(ErrorKind::kUnsupported,
                     "zip entry {} is compressed (method {}); expected it stored, as PyTorch does",
                     printable(name), entry->method);
  }
  return entry->data;
}

}  // namespace mistral::formats
