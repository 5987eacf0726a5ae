#include "hub/partial_file.h"

#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <gmock/gmock.h>

#include "error_of.h"
#include "hub/cache.h"
#include "hub/digest.h"
#include "temporary_folder.h"

namespace mistral::hub {
namespace {

using test::error_of;

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string content(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(PartialFile, TakesPiecesInAnyOrder) {
  const test::TemporaryFolder folder;
  const auto blob = folder.path() / "blob";
  PartialFile file(blob, 10, 4);
  ASSERT_EQ(file.pieces(), 3U);
  file.append(2, bytes("ij"));
  file.append(0, bytes("ab"));
  file.append(1, bytes("efgh"));
  EXPECT_EQ(file.received(), 8U);
  EXPECT_EQ(file.missing(0).begin, 2U);
  EXPECT_EQ(file.missing(0).end, 4U);
  file.append(0, bytes("cd"));
  file.finish();
  EXPECT_EQ(content(blob), "abcdefghij");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(PartialFile, GoesOnWithWhatArrived) {
  const test::TemporaryFolder folder;
  const auto blob = folder.path() / "blob";
  {
    PartialFile file(blob, 10, 4);
    file.append(1, bytes("efg"));
  }
  PartialFile file(blob, 10, 4);
  EXPECT_TRUE(file.resumed());
  EXPECT_EQ(file.received(), 3U);
  EXPECT_EQ(file.missing(1).begin, 7U);
  EXPECT_EQ(file.missing(0).begin, 0U);
}

TEST(PartialFile, BeginsAnewForAnotherSizeOrABrokenJournal) {
  const test::TemporaryFolder folder;
  const auto blob = folder.path() / "blob";
  const auto journal = folder.path() / "blob.mistralcpp.journal";
  const auto begin = [&] { PartialFile(blob, 10, 4).append(1, bytes("efg")); };
  begin();
  EXPECT_EQ(PartialFile(blob, 11, 4).received(), 0U);
  for (const char* damage : {"x", "ends too early, or says too much, or nothing at all of use"}) {
    std::filesystem::remove(folder.path() / "blob.mistralcpp.incomplete");
    std::filesystem::remove(journal);
    begin();
    (void)folder.write("blob.mistralcpp.journal", damage);
    EXPECT_EQ(PartialFile(blob, 10, 4).received(), 0U) << damage;
  }
  // A journal that says more than the file holds.
  std::filesystem::remove(journal);
  begin();
  std::filesystem::resize_file(folder.path() / "blob.mistralcpp.incomplete", 5);
  EXPECT_EQ(PartialFile(blob, 10, 4).received(), 0U);
}

TEST(PartialFile, GoesOnFromTheFrontOfAFileOfThePythonClient) {
  const test::TemporaryFolder folder;
  (void)folder.write("blob.incomplete", "abcdef");
  PartialFile file(folder.path() / "blob", 10, 4);
  EXPECT_EQ(file.received(), 6U);
  EXPECT_EQ(file.missing(0).begin, 4U);
  EXPECT_EQ(file.missing(1).begin, 6U);
}

TEST(PartialFile, CanBeginAgainAndBeGivenUp) {
  const test::TemporaryFolder folder;
  PartialFile file(folder.path() / "blob", 10, 4);
  file.append(0, bytes("abcd"));
  file.restart();
  EXPECT_EQ(file.received(), 0U);
  EXPECT_EQ(file.missing(0).begin, 0U);
  file.discard();
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Digest, IsThatOfTheHub) {
  const test::TemporaryFolder folder;
  const auto file = folder.write("file", "hello\n");
  EXPECT_EQ(file_digest(file, DigestKind::kSha256),
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
  // What `git hash-object` says.
  EXPECT_EQ(file_digest(file, DigestKind::kGitSha1), "ce013625030ba8dba906f756967f9e9ca394464a");
  EXPECT_EQ(digest_kind(std::string(64, 'a')), DigestKind::kSha256);
  EXPECT_EQ(digest_kind(std::string(40, '0')), DigestKind::kGitSha1);
  EXPECT_EQ(digest_kind(std::string(32, 'a')), std::nullopt);
  EXPECT_EQ(digest_kind(std::string(64, 'g')), std::nullopt);
  EXPECT_EQ(
      error_of([&] { return file_digest(file, DigestKind::kSha256, [] { return true; }); }).kind(),
      ErrorKind::kCancelled);
}

TEST(Lock, KeepsOthersOutAndStays) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "lock";
  {
    const auto lock = FileLock::try_acquire(path);
    ASSERT_TRUE(lock);
    EXPECT_FALSE(FileLock::try_acquire(path));
    int waits = 0;
    EXPECT_EQ(error_of([&] {
                return FileLock::acquire(
                    path, [&] { return waits > 0; }, [&] { ++waits; });
              }).kind(),
              ErrorKind::kCancelled);
    EXPECT_EQ(waits, 1);
  }
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_TRUE(FileLock::try_acquire(path));
}

TEST(RepositoryCache, KnowsWhatItWrote) {
  const test::TemporaryFolder folder;
  const RepositoryCache cache(folder.path(), *parse_model_id("org/name"));
  const std::string commit(40, 'c');
  cache.prepare();
  std::ofstream(cache.blob("etag")) << "content";
  cache.link(commit, "sub/folder/file", "etag");
  cache.link(commit, "sub/folder/file", "etag");
  EXPECT_TRUE(cache.has(commit, "sub/folder/file"));
  EXPECT_EQ(std::filesystem::read_symlink(cache.snapshot(commit) / "sub/folder/file"),
            "../../../../blobs/etag");
  EXPECT_THAT(cache.files(commit), testing::ElementsAre("sub/folder/file"));
  EXPECT_FALSE(cache.commit_of("main"));
  cache.write_ref("main", commit);
  cache.write_ref("refs/pr/1", commit);
  EXPECT_EQ(cache.commit_of("refs/pr/1"), commit);
  EXPECT_EQ(cache.commit_of(commit), commit);
  EXPECT_FALSE(cache.commit_of("../../../outside"));
  EXPECT_FALSE(cache.is_known_absent(commit, "x"));
  cache.mark_absent(commit, "x");
  EXPECT_TRUE(cache.is_known_absent(commit, "x"));
  std::filesystem::remove(cache.blob("etag"));
  EXPECT_FALSE(cache.has(commit, "sub/folder/file"));  // a link to nothing
  EXPECT_TRUE(cache.files(commit).empty());
}

}  // namespace
}  // namespace mistral::hub
