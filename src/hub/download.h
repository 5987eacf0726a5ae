// From the address of a file to a blob whose checksum is right.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "hub/client.h"

namespace mistral::hub {

struct DownloadOptions {
  int connections = 8;                       // for one large file
  std::uint64_t piece_bytes = 32ULL << 20U;  // what one request asks for
  HttpOptions http;
  std::function<void(std::int64_t bytes)> on_bytes;  // as they arrive, from several threads;
                                                     // negative when bytes have to come again
};

enum class DownloadEnd {
  kDone,
  kChanged,  // the hub names another content by now: ask for the file again
};

// Fetches the content of `file` to `blob`. The caller holds the blob's lock. Bytes of an earlier
// attempt are not fetched again. Throws Error: kResource (network, disk), kInvalidFile (the
// checksum differs; what arrived is deleted), kCancelled; after all but kInvalidFile the next call
// goes on.
[[nodiscard]] DownloadEnd download(const HubClient& hub, const std::string& repository,
                                   const FileInfo& file, const std::filesystem::path& blob,
                                   const DownloadOptions& options);

}  // namespace mistral::hub
