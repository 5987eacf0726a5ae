// From the id of a model to files on this machine: what is missing in the cache is downloaded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hub/client.h"
#include "hub/download.h"
#include "hub/names.h"
#include "hub/selection.h"
#include "hub/settings.h"

namespace mistral::hub {

struct HubOptions {
  Settings settings;
  TokenSource token_source;
  Environment environment = process_environment();  // of the token
  RetryPolicy retry;
  DownloadOptions download;
  std::function<bool()> cancelled;  // asked often, from several threads
  // Bytes of all files of one fetch(); never called concurrently.
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress;
};

// Settings, time-outs (HF_HUB_ETAG_TIMEOUT, HF_HUB_DOWNLOAD_TIMEOUT) from the environment of the
// process. Throws Error (kInvalidArgument).
[[nodiscard]] HubOptions options_from_environment();

struct FetchRequest {
  ModelId id;
  std::string revision = "main";  // branch, tag or commit
  Wanted wanted;                  // its quant is that of the id
};

struct LocalModel {
  std::filesystem::path folder;  // the snapshot
  std::filesystem::path model;   // the first shard of a GGUF model, else the folder
  std::string commit;
};

class Hub {
 public:
  // Throws Error (kInvalidArgument): a broken endpoint or token.
  explicit Hub(HubOptions options);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // Without a connection: offline (HF_HUB_OFFLINE), or when the revision is a commit of which the
  // cache has all files. With one: branches and tags are looked up, missing files downloaded. When
  // the hub does not answer, what the cache has of the revision is used, with a warning.
  // Throws Error whose message says what to do: kNotFound, kInvalidArgument, kResource (network,
  // disk), kInvalidFile (a checksum differs), kCancelled. For one thread at a time; several
  // processes may fetch into one cache.
  [[nodiscard]] LocalModel fetch(const FetchRequest& request);

 private:
  class Fetch;
  HubOptions options_;
  std::unique_ptr<HubClient> client_;
};

}  // namespace mistral::hub
