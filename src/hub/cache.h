// The folder that holds what was downloaded, laid out as huggingface_hub does, so that programs in
// Python find what we fetched and the other way round:
//
//   models--org--name/blobs/ETAG                   contents, named by their checksum
//   models--org--name/snapshots/COMMIT/FILE        relative link to a blob
//   models--org--name/refs/REVISION                the commit that a branch or tag was last
//   models--org--name/.no_exist/COMMIT/FILE        empty: the commit has no such file
//   .locks/models--org--name/ETAG.lock             held while the blob is written
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hub/names.h"

namespace mistral::hub {

// One repository of the cache. Functions that write throw Error (kResource) naming the path.
class RepositoryCache {
 public:
  RepositoryCache(std::filesystem::path cache, const ModelId& id);

  [[nodiscard]] std::filesystem::path snapshot(const std::string& commit) const;
  [[nodiscard]] std::filesystem::path blob(const std::string& etag) const;
  [[nodiscard]] std::filesystem::path lock(const std::string& etag) const;
  // Makes the folders. No CACHEDIR.TAG beside them: older Python clients take it for damage.
  void prepare() const;

  // The commit of a revision: itself, or what refs/ says; none when the cache does not know it.
  [[nodiscard]] std::optional<std::string> commit_of(const std::string& revision) const;
  void write_ref(const std::string& revision, const std::string& commit) const;

  // Whether the snapshot has the file with its content.
  [[nodiscard]] bool has(const std::string& commit, const std::string& name) const;
  // Names of all files of a snapshot, sorted; empty without one.
  [[nodiscard]] std::vector<std::string> files(const std::string& commit) const;
  // Puts a link to the blob into the snapshot; a copy where the file system has no links.
  void link(const std::string& commit, const std::string& name, const std::string& etag) const;

  [[nodiscard]] bool is_known_absent(const std::string& commit, const std::string& name) const;
  void mark_absent(const std::string& commit, const std::string& name) const;

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path cache_;
  std::filesystem::path folder_;  // models--org--name
  std::filesystem::path locks_;
};

struct CachedRevision {
  std::string commit;
  std::vector<std::string> refs;  // branches and tags that point to it
  std::size_t files = 0;
  std::uint64_t bytes = 0;
};

struct CachedRepository {
  std::string id;  // "org/name"
  std::vector<CachedRevision> revisions;
  std::uint64_t bytes = 0;             // of all blobs, each once
  std::uint64_t incomplete_bytes = 0;  // of downloads that did not end
};

// All models of the cache, by id. Folders that are something else are left out.
[[nodiscard]] std::vector<CachedRepository> list_cache(const std::filesystem::path& cache);

// Deletes a repository, or one revision (a branch, tag or commit; its short form will do) with the
// blobs that no other revision uses; returns the bytes that became free. Throws Error: kNotFound,
// kResource when another process is downloading it or something cannot be deleted.
std::uint64_t remove_from_cache(const std::filesystem::path& cache, const ModelId& id,
                                const std::string& revision = "");

}  // namespace mistral::hub
