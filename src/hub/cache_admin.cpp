// What the cache holds, and deleting of it.
#include <algorithm>
#include <map>
#include <set>
#include <system_error>

#include <fmt/format.h>

#include "core/error.h"
#include "hub/cache.h"
#include "hub/file_handle.h"

namespace mistral::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "models--";
constexpr std::string_view kIncomplete = ".incomplete";
constexpr std::size_t kMinCommitDigits = 6;

std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  while (!error && entry != fs::directory_iterator()) {
    out.push_back(entry->path());
    entry.increment(error);
  }
  std::ranges::sort(out);
  return out;
}

std::uint64_t size_of(const fs::path& file) {
  std::error_code error;
  const std::uint64_t size = fs::file_size(file, error);
  return error ? 0 : size;
}

std::optional<ModelId> id_of_folder(const std::string& name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  std::string id = name.substr(kPrefix.size());
  const std::size_t separator = id.find("--");
  if (separator == std::string::npos) return std::nullopt;
  id.replace(separator, 2, "/");
  return parse_model_id(id);
}

std::multimap<std::string, std::string> refs_by_commit(const RepositoryCache& cache) {
  std::multimap<std::string, std::string> refs;
  const fs::path root = cache.folder() / "refs";
  std::error_code error;
  fs::recursive_directory_iterator entry(root, error);
  while (!error && entry != fs::recursive_directory_iterator()) {
    std::error_code ignored;
    std::string name = entry->path().lexically_relative(root).generic_string();
    if (entry->is_regular_file(ignored)) {
      if (const auto commit = cache.commit_of(name)) refs.emplace(*commit, std::move(name));
    }
    entry.increment(error);
  }
  return refs;
}

std::vector<std::string> commits(const RepositoryCache& cache) {
  std::vector<std::string> out;
  for (const fs::path& folder : entries(cache.folder() / "snapshots")) {
    if (is_commit(folder.filename().string())) out.push_back(folder.filename().string());
  }
  return out;
}

// The blobs of the repository that a snapshot links to. Links to other places are none of ours to
// count or delete.
std::set<fs::path> blobs_of(const RepositoryCache& cache, const std::string& commit) {
  std::set<fs::path> blobs;
  const fs::path folder = (cache.folder() / "blobs").lexically_normal();
  for (const std::string& name : cache.files(commit)) {
    const fs::path place = cache.snapshot(commit) / name;
    std::error_code error;
    const fs::path target = fs::read_symlink(place, error);
    if (error) continue;
    fs::path blob = (place.parent_path() / target).lexically_normal();
    if (blob.parent_path() == folder) blobs.insert(std::move(blob));
  }
  return blobs;
}

CachedRepository describe(const RepositoryCache& cache, const ModelId& id) {
  CachedRepository repository;
  repository.id = id.repository;
  const auto refs = refs_by_commit(cache);
  for (const std::string& commit : commits(cache)) {
    CachedRevision revision;
    revision.commit = commit;
    const auto [first, last] = refs.equal_range(commit);
    for (auto ref = first; ref != last; ++ref) revision.refs.push_back(ref->second);
    revision.files = cache.files(commit).size();
    for (const fs::path& blob : blobs_of(cache, commit)) revision.bytes += size_of(blob);
    repository.revisions.push_back(std::move(revision));
  }
  for (const fs::path& blob : entries(cache.folder() / "blobs")) {
    const bool incomplete = blob.filename().string().ends_with(kIncomplete);
    (incomplete ? repository.incomplete_bytes : repository.bytes) += size_of(blob);
  }
  return repository;
}

// All locks of the repository, so that nobody writes into it; refuses when somebody does.
std::vector<FileLock> lock_all(const fs::path& cache, const ModelId& id) {
  std::vector<FileLock> locks;
  for (const fs::path& file : entries(cache / ".locks" / id.folder_name())) {
    auto lock = FileLock::try_acquire(file);
    if (!lock) {
      throw make_error(ErrorKind::kResource,
                       "{} is being downloaded by another process; nothing was deleted",
                       id.repository);
    }
    locks.push_back(std::move(*lock));
  }
  return locks;
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) {
    throw make_error(ErrorKind::kResource, "{}: cannot be deleted: {}", path.string(),
                     error.message());
  }
}

std::string find_commit(const RepositoryCache& cache, const ModelId& id,
                        const std::string& revision) {
  std::vector<std::string> found;
  const auto named = cache.commit_of(revision);
  for (const std::string& commit : commits(cache)) {
    const bool shortened = revision.size() >= kMinCommitDigits && commit.starts_with(revision);
    if (commit == named || shortened) found.push_back(commit);
  }
  if (found.size() == 1) return found.front();
  throw make_error(ErrorKind::kNotFound, "{} has {} revision '{}' in the cache", id.repository,
                   found.empty() ? "no" : "more than one", revision);
}

std::uint64_t remove_revision(const RepositoryCache& cache, const std::string& commit) {
  std::set<fs::path> unused = blobs_of(cache, commit);
  for (const std::string& other : commits(cache)) {
    if (other == commit) continue;
    for (const fs::path& blob : blobs_of(cache, other)) unused.erase(blob);
  }
  std::uint64_t freed = 0;
  for (const fs::path& blob : unused) freed += size_of(blob);
  // First what points to the rest: an interrupted run leaves no link to nothing.
  const auto refs = refs_by_commit(cache);
  const auto [first, last] = refs.equal_range(commit);
  for (auto ref = first; ref != last; ++ref) remove_tree(cache.folder() / "refs" / ref->second);
  remove_tree(cache.snapshot(commit));
  remove_tree(cache.folder() / ".no_exist" / commit);
  for (const fs::path& blob : unused) remove_tree(blob);
  return freed;
}

}  // namespace

std::vector<CachedRepository> list_cache(const fs::path& cache) {
  std::vector<CachedRepository> out;
  for (const fs::path& folder : entries(cache)) {
    std::error_code ignored;
    const auto id = id_of_folder(folder.filename().string());
    if (id && fs::is_directory(folder, ignored)) {
      out.push_back(describe(RepositoryCache(cache, *id), *id));
    }
  }
  std::ranges::sort(out, {}, &CachedRepository::id);
  return out;
}

std::uint64_t remove_from_cache(const fs::path& cache, const ModelId& id,
                                const std::string& revision) {
  const RepositoryCache repository(cache, id);
  std::error_code ignored;
  if (!fs::is_directory(repository.folder(), ignored)) {
    throw make_error(ErrorKind::kNotFound, "{} is not in the cache {}", id.repository,
                     cache.string());
  }
  const std::vector<FileLock> locks = lock_all(cache, id);
  if (!revision.empty()) {
    return remove_revision(repository, find_commit(repository, id, revision));
  }
  const CachedRepository content = describe(repository, id);
  remove_tree(repository.folder() / "refs");
  remove_tree(repository.folder() / "snapshots");
  remove_tree(repository.folder());
  return content.bytes + content.incomplete_bytes;
}

}  // namespace mistral::hub
