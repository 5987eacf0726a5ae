// Checksums that the hub names its files by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mistral::hub {

enum class DigestKind {
  kSha256,   // files in large-file storage: SHA-256 of the content, 64 hex digits
  kGitSha1,  // files in git itself: SHA-1 of "blob SIZE\0" and the content, 40 hex digits
};

// Which checksum an etag is; none when it is neither and the content cannot be checked by it.
[[nodiscard]] std::optional<DigestKind> digest_kind(std::string_view etag);

// The checksum of a file in lower-case hex digits. `cancelled` is asked between blocks. Throws
// Error: kResource when the file cannot be read, kCancelled.
[[nodiscard]] std::string file_digest(const std::filesystem::path& file, DigestKind kind,
                                      const std::function<bool()>& cancelled = nullptr);

}  // namespace mistral::hub
