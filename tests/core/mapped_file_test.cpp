#include "core/mapped_file.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/error.h"
#include "error_of.h"
#include "temporary_folder.h"

namespace mistral {
namespace {

using test::TemporaryFolder;
using testing::HasSubstr;

std::string content_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

// The error of mapping `path`; fails the test when there is none.
Error error_of(const std::filesystem::path& path) {
  try {
    const MappedFile file(path);
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << path << " was mapped";
  return Error(ErrorKind::kInternal, "");
}

TEST(MappedFile, ShowsTheWholeContent) {
  const TemporaryFolder folder;
  const auto path = folder.write("a", "hello");
  const MappedFile file(path);
  EXPECT_EQ(content_of(file), "hello");
  EXPECT_EQ(file.path(), path);
}

TEST(MappedFile, MovesWithoutMovingTheBytes) {
  const TemporaryFolder folder;
  MappedFile a(folder.write("a", "first"));
  MappedFile b(folder.write("b", "second"));
  const std::byte* data = a.bytes().data();
  b = std::move(a);
  EXPECT_EQ(content_of(b), "first");
  EXPECT_EQ(b.bytes().data(), data);
  const MappedFile c(std::move(b));
  EXPECT_EQ(content_of(c), "first");
}

TEST(MappedFile, SaysWhatWasExpected) {
  const TemporaryFolder folder;
  const Error missing = error_of(folder.path() / "missing");
  EXPECT_EQ(missing.kind(), ErrorKind::kNotFound);
  EXPECT_THAT(missing.what(), HasSubstr("missing"));

  const Error below_a_file = error_of(folder.write("plain", "x") / "below");
  EXPECT_EQ(below_a_file.kind(), ErrorKind::kNotFound);

  const Error is_folder = error_of(folder.path());
  EXPECT_EQ(is_folder.kind(), ErrorKind::kInvalidFile);
  EXPECT_THAT(is_folder.what(), HasSubstr("folder"));
  EXPECT_THAT(is_folder.what(), HasSubstr(folder.path().string()));

  const Error empty = error_of(folder.write("empty", ""));
  EXPECT_EQ(empty.kind(), ErrorKind::kInvalidFile);
  EXPECT_THAT(empty.what(), HasSubstr("is empty"));

  const auto pipe = folder.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const Error is_pipe = error_of(pipe);  // must not wait for a writer
  EXPECT_EQ(is_pipe.kind(), ErrorKind::kInvalidFile);
  EXPECT_THAT(is_pipe.what(), HasSubstr("regular file"));
}

TEST(MappedFile, KeepsTheContentWhenPagesAreReleased) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::string content(5 * page + 17, '\0');
  for (std::size_t i = 0; i < content.size(); ++i)
    content[i] = static_cast<char>(i * 31 + i / page);
  const TemporaryFolder folder;
  const MappedFile file(folder.write("a", content));
  file.prefetch(file.bytes());
  ASSERT_EQ(content_of(file), content);
  // Spans that begin and end inside pages, empty ones, and the tail of the file.
  for (const auto& [begin, size] : {std::pair<std::size_t, std::size_t>{0, content.size()},
                                    {1, page},
                                    {page - 1, 2 * page + 2},
                                    {3, 0},
                                    {page, 0},
                                    {5 * page, 17},
                                    {5 * page + 3, 14}}) {
    file.release(file.bytes().subspan(begin, size));
    file.prefetch(file.bytes().subspan(begin, size));
    file.populate(file.bytes().subspan(begin, size));
    EXPECT_EQ(content_of(file), content) << begin << " " << size;
    file.release(file.bytes().subspan(begin, size));
    file.forget(file.bytes().subspan(begin, size));
    EXPECT_EQ(content_of(file), content) << begin << " " << size;
  }
  file.release({});
  file.forget({});
  file.prefetch({});
  file.populate({});
}

TEST(MappedFile, PagesThatAFileHasLostAreAnError) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const TemporaryFolder folder;
  const auto path = folder.write("a", std::string(4 * page, 'f'));
  const MappedFile file(path);
  file.populate(file.bytes());
  std::filesystem::resize_file(path, page);
  file.populate(file.bytes().first(page));
  const Error error = test::error_of([&] { file.populate(file.bytes()); });
  EXPECT_EQ(error.kind(), ErrorKind::kInvalidFile);
  EXPECT_THAT(error.what(), testing::HasSubstr("became shorter"));
}

TEST(MappedFile, ForgetsPagesInTheCacheOfFilesAndReadsThemAgain) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const TemporaryFolder folder;
  const auto path = folder.write("a", std::string(4 * page, 'f'));
  struct statfs system {};
  ASSERT_EQ(::statfs(path.c_str(), &system), 0);
  if (system.f_type == TMPFS_MAGIC) GTEST_SKIP() << "files that live in memory cannot be forgotten";
  const int writer = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(::fsync(writer), 0);  // what is not written yet stays
  ::close(writer);
  const MappedFile file(path);
  const auto resident = [&] {
    unsigned char pages[4] = {};
    EXPECT_EQ(::mincore(const_cast<std::byte*>(file.bytes().data()), 4 * page, pages), 0);
    return std::count_if(std::begin(pages), std::end(pages), [](auto p) { return (p & 1) != 0; });
  };
  ASSERT_EQ(content_of(file), std::string(4 * page, 'f'));
  ASSERT_EQ(resident(), 4);
  file.release(file.bytes());
  EXPECT_EQ(resident(), 4);
  file.forget(file.bytes());
  EXPECT_LT(resident(), 4);
  file.prefetch(file.bytes().subspan(page + 1, page));
  EXPECT_GE(resident(), 2);
  file.prefetch(file.bytes());
  EXPECT_EQ(resident(), 4);
  EXPECT_EQ(content_of(file), std::string(4 * page, 'f'));
}

// Private copies of pages show which pages madvise reached: a written page that is dropped comes
// back with the content of the file.
TEST(MappedFile, ReleasesOnlyWholePagesInside) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const TemporaryFolder folder;
  const MappedFile file(folder.write("a", std::string(4 * page, 'f')));
  auto* data = const_cast<std::byte*>(file.bytes().data());
  ASSERT_EQ(::mprotect(data, 4 * page, PROT_READ | PROT_WRITE), 0);
  std::fill(data, data + 4 * page, std::byte{'w'});
  file.release(file.bytes().subspan(1, 3 * page));  // pages 1 and 2 lie inside, 0 and 3 in part
  EXPECT_EQ(data[page - 1], std::byte{'w'});
  EXPECT_EQ(data[page], std::byte{'f'});
  EXPECT_EQ(data[3 * page - 1], std::byte{'f'});
  EXPECT_EQ(data[3 * page], std::byte{'w'});
}

}  // namespace
}  // namespace mistral
