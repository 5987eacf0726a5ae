#include "hub/cache.h"

#include <algorithm>
#include <fstream>
#include <random>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>

#include "core/error.h"
#include "hub/file_handle.h"

namespace mistral::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCommitBytes = 40;

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw make_error(ErrorKind::kResource, "{}: cannot make the folder: {}", folder.string(),
                     error.message());
  }
}

// A name beside `path` that no other process uses.
fs::path temporary_beside(const fs::path& path) {
  std::random_device random;
  return path.parent_path() /
         fmt::format("{}.{:08x}.tmp", path.filename().string(), std::uint32_t{random()});
}

// In one step: a reader sees the old file or the new one.
void move_into_place(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (!error) return;
  std::error_code ignored;
  fs::remove(from, ignored);
  throw make_error(ErrorKind::kResource, "{}: cannot be put into place: {}", to.string(),
                   error.message());
}

void write_small(const fs::path& path, std::string_view content) {
  make_folder(path.parent_path());
  const fs::path temporary = temporary_beside(path);
  {
    const FileHandle file = FileHandle::open(temporary, O_WRONLY | O_CREAT | O_EXCL);
    file.write_at(0, std::as_bytes(std::span(content)));
  }
  move_into_place(temporary, path);
}

std::string read_small(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string content(kCommitBytes + 8, '\0');
  in.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<std::size_t>(in.gcount()));
  while (!content.empty() && (content.back() == '\n' || content.back() == '\r')) content.pop_back();
  return content;
}

}  // namespace

RepositoryCache::RepositoryCache(fs::path cache, const ModelId& id)
    : cache_(std::move(cache)),
      folder_(cache_ / id.folder_name()),
      locks_(cache_ / ".locks" / id.folder_name()) {}

fs::path RepositoryCache::snapshot(const std::string& commit) const {
  return folder_ / "snapshots" / commit;
}

fs::path RepositoryCache::blob(const std::string& etag) const {
  return folder_ / "blobs" / etag;
}

fs::path RepositoryCache::lock(const std::string& etag) const {
  return locks_ / (etag + ".lock");
}

void RepositoryCache::prepare() const {
  make_folder(folder_ / "blobs");
  make_folder(folder_ / "snapshots");
  make_folder(locks_);
}

std::optional<std::string> RepositoryCache::commit_of(const std::string& revision) const {
  if (is_commit(revision)) return revision;
  if (!is_revision(revision)) return std::nullopt;
  std::string commit = read_small(folder_ / "refs" / revision);
  if (!is_commit(commit)) return std::nullopt;
  return commit;
}

void RepositoryCache::write_ref(const std::string& revision, const std::string& commit) const {
  if (is_commit(revision) || commit_of(revision) == commit) return;
  write_small(folder_ / "refs" / revision, commit);
}

bool RepositoryCache::has(const std::string& commit, const std::string& name) const {
  std::error_code ignored;
  return fs::is_regular_file(snapshot(commit) / name, ignored);
}

std::vector<std::string> RepositoryCache::files(const std::string& commit) const {
  std::vector<std::string> names;
  const fs::path root = snapshot(commit);
  std::error_code error;
  fs::recursive_directory_iterator entry(root, error);
  while (!error && entry != fs::recursive_directory_iterator()) {
    std::error_code ignored;
    std::string name = entry->path().lexically_relative(root).generic_string();
    if (entry->is_regular_file(ignored) && is_safe_file_name(name)) {
      names.push_back(std::move(name));
    }
    entry.increment(error);
  }
  std::ranges::sort(names);
  return names;
}

void RepositoryCache::link(const std::string& commit, const std::string& name,
                           const std::string& etag) const {
  const fs::path place = snapshot(commit) / name;
  make_folder(place.parent_path());
  const fs::path target = blob(etag).lexically_relative(place.parent_path());
  const fs::path temporary = temporary_beside(place);
  std::error_code error;
  fs::create_symlink(target, temporary, error);
  if (error) fs::copy_file(blob(etag), temporary, error);
  if (error) {
    throw make_error(ErrorKind::kResource, "{}: cannot be made: {}", place.string(),
                     error.message());
  }
  move_into_place(temporary, place);
}

bool RepositoryCache::is_known_absent(const std::string& commit, const std::string& name) const {
  std::error_code ignored;
  return fs::is_regular_file(folder_ / ".no_exist" / commit / name, ignored);
}

void RepositoryCache::mark_absent(const std::string& commit, const std::string& name) const {
  if (!is_known_absent(commit, name)) write_small(folder_ / ".no_exist" / commit / name, "");
}

}  // namespace mistral::hub
