// A file that is being downloaded in several pieces at once. A journal beside it says which bytes
// have arrived, so that after any end of the process (kill -9 included) only the missing ones are
// fetched.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "hub/file_handle.h"
#include "hub/http.h"

namespace mistral::hub {

class PartialFile {
 public:
  // Goes on with what is there for a file of `size` bytes; else begins anew. One at a time: the
  // caller holds the lock of the blob. Throws Error (kResource).
  PartialFile(const std::filesystem::path& blob, std::uint64_t size, std::uint64_t piece_bytes);

  [[nodiscard]] std::size_t pieces() const { return done_.size(); }
  // The bytes of a piece that have not arrived; empty (begin == end) when all have.
  [[nodiscard]] ByteRange missing(std::size_t piece) const;
  // Bytes that have arrived, of all pieces.
  [[nodiscard]] std::uint64_t received() const { return received_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  // Whether bytes were there at the beginning.
  [[nodiscard]] bool resumed() const { return resumed_; }

  // The next bytes of a piece, at most those missing. Pieces may be written by different threads at
  // once. Throws Error (kResource): a full disk, among others; the file can be gone on with.
  void append(std::size_t piece, std::span<const std::byte> data);
  // Forgets what has arrived.
  void restart();

  // Writes out what the system still buffers, and moves the file to its place.
  void finish();
  void discard();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  [[nodiscard]] std::uint64_t piece_size(std::size_t piece) const;
  bool read_journal();
  void write_journal();

  std::filesystem::path blob_;
  std::filesystem::path path_;
  std::filesystem::path journal_path_;
  std::uint64_t size_;
  std::uint64_t piece_bytes_;
  bool adopted_;  // the file is one of huggingface_hub
  FileHandle file_;
  FileHandle journal_;
  std::vector<std::uint64_t> done_;  // bytes of each piece; its writer alone changes it
  std::atomic<std::uint64_t> received_{0};
  bool resumed_ = false;
};

}  // namespace mistral::hub
